'use strict'

const { performance } = require('node:perf_hooks')

/** Milliseconds of the machine's monotonic clock: all processes read the same. */
function now() {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Keeps the thread busy; a timer would be late by as much as a hold is long. */
function spin(milliseconds) {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

module.exports = { now, spin, sleep }
