'use strict'

/** Milliseconds on the monotonic clock of the machine, the same in all its processes. */
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000

module.exports = { now }
