'use strict'

const { cpuTime } = require('../cpu.js')
const { sleep } = require('../clock.js')
const { takeStock } = require('../memory.js')
const { watchLoop } = require('../ticks.js')

/** Calls under way at once while many locks are taken: enough to be quick, few enough to be kind. */
const AT_ONCE = 1000

/** Milliseconds between two looks at the event loop: few, since their own cost counts, too. */
const TICK = 10

/** What is not to be collected. */
const kept = []

/**
 * Takes many locks that are free.
 *
 * @param {{ count: number, ttl?: number }} argument   renewed until they are released where there is a
 *   `ttl`
 */
async function holdMany(contender, { count, ttl }) {
  const hold = ttl === undefined ? contender.acquire : (resource) => contender.guard(resource, ttl)
  const held = []
  let next = 0
  const lane = async () => {
    while (next < count) {
      const index = next++
      held[index] = await hold(nameOf(index))
      if (!held[index]) throw new Error(`${contender.name} did not get ${nameOf(index)}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  kept.push(held)
}

/** Begins to wait `count` times for locks that others hold, `keys` of them. */
function waitMany(contender, { count, keys }) {
  kept.push(Array.from({ length: count }, (_, index) => contender.acquire(nameOf(index % keys))))
}

/** What the process takes, see `memory.js`. */
function stock() {
  return takeStock()
}

/**
 * Does nothing for some time.
 *
 * @returns {Promise<{ threadCpu?: number, processCpu: number, p99: number, longest: number }>}
 *   shares of a processor, and milliseconds that the event loop was late
 */
async function idle(_, { seconds }) {
  const before = cpuTime()
  const stop = watchLoop(TICK)
  await sleep(seconds * 1000)
  const { p99, longest } = stop()
  const after = cpuTime()
  const share = (used) => used / 1e6 / seconds
  return {
    threadCpu: after.thread && share(after.thread - before.thread),
    processCpu: share(after.process - before.process),
    p99,
    longest,
  }
}

function nameOf(index) {
  return `bench:${index}`
}

module.exports = { holdMany, waitMany, stock, idle }
