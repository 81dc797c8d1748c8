'use strict'

const v8 = require('node:v8')
const vm = require('node:vm')
const { sleep } = require('./clock.js')

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc')

/** Milliseconds for what the first collection let go of to be given back. */
const PAUSE = 50

/**
 * What this process takes without garbage, in bytes.
 *
 * @returns {Promise<{ all: number, heap: number, native: number }>} all that is resident; the
 *   objects of JavaScript; and what is resident besides the pages that these are in
 */
async function takeStock() {
  collectGarbage()
  await sleep(PAUSE)
  collectGarbage()
  const { rss, heapUsed, heapTotal } = process.memoryUsage()
  return { all: rss, heap: heapUsed, native: rss - heapTotal }
}

module.exports = { takeStock }
