'use strict'

const { performance } = require('node:perf_hooks')
const { cpuTime } = require('../cpu.js')

/** Latencies beyond these are counted as locks, but not kept: no memory is allocated meanwhile. */
const latencies = new Float64Array(2 ** 20)

/**
 * Acquires and releases for some time, with `inFlight` locks under way at any moment, each on a
 * resource of its own.
 *
 * @param {import('../contenders/index.js').Contender} contender
 * @param {{ inFlight: number, seconds: number }} workload
 * @returns {Promise<Slice>}
 *
 * @typedef {object} Slice
 * @property {number} locks   how many
 * @property {number} rate   locks per second
 * @property {number} p50   milliseconds from the call of acquire to the end of release
 * @property {number} p99
 * @property {number} [threadCpu]   microseconds per lock, of the thread that runs JavaScript
 * @property {number} processCpu   microseconds per lock, of the whole process
 * @property {number} [rss]   bytes of memory the process has afterwards
 */
async function measure(contender, { inFlight, seconds }) {
  if (contender.measure) return contender.measure({ inFlight, seconds })

  let locks = 0
  const before = cpuTime()
  const started = performance.now()
  const end = started + seconds * 1000

  await inLanes(inFlight, async (resource) => {
    for (let now = performance.now(); now < end;) {
      await acquireAndRelease(contender, resource)
      const done = performance.now()
      latencies[locks++] = done - now
      now = done
    }
  })

  const elapsed = performance.now() - started
  const after = cpuTime()
  const sorted = latencies.subarray(0, Math.min(locks, latencies.length)).sort()
  return {
    locks,
    rate: (locks / elapsed) * 1000,
    p50: sorted[Math.floor(sorted.length * 0.5)],
    p99: sorted[Math.floor(sorted.length * 0.99)],
    threadCpu: after.thread && (after.thread - before.thread) / locks,
    processCpu: (after.process - before.process) / locks,
    rss: process.memoryUsage.rss(),
  }
}

/**
 * As above, once or twice for each lane, and without figures.
 *
 * @returns {Promise<number>} how many locks that were, if it can be told
 */
async function run(contender, { inFlight }) {
  if (contender.measure) return undefined

  const locks = inFlight * 2
  let left = locks
  await inLanes(inFlight, async (resource) => {
    while (left-- > 0) await acquireAndRelease(contender, resource)
  })
  return locks
}

async function inLanes(count, lane) {
  await Promise.all(Array.from({ length: count }, (_, index) => lane(`bench:${index}`)))
}

async function acquireAndRelease(contender, resource) {
  if (contender.acquireAndRelease) return contender.acquireAndRelease(resource)
  const lock = await contender.acquire(resource)
  if (!lock) throw new Error(`${contender.name} did not get the free lock ${resource}`)
  await contender.release(lock)
}

module.exports = { measure, run }
