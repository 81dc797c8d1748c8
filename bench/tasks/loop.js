'use strict'

const { watchLoop } = require('../ticks.js')
const { measure } = require('./free.js')

/** Acquires and releases as in `free.js`. @returns {Promise<object>} how the event loop bears it */
async function measureLoop(contender, workload) {
  const stop = watchLoop()
  const { rate } = await measure(contender, workload)
  return { ...stop(), rate }
}

module.exports = { measureLoop }
