'use strict'

const { now, sleep } = require('../clock.js')
const { quantile } = require('../statistics.js')

/** Hand-offs beyond these are counted, but not kept: no memory is allocated meanwhile. */
const delays = new Float64Array(2 ** 20)

/** Of the whole life of this process. */
let allGrants = 0
let allJumped = 0

/** Since the beginning of what is measured. */
let measured
startAgain()

/** Each call of acquire has a number; this is the lowest that has not been served. */
let oldest = 1
let tickets = 0
/** The numbers above that which have been served. */
const ahead = new Set()

let releasedAt
let previous
let failure

/**
 * Waiters that acquire and release one lock over and over, for as long as the process lives.
 *
 * @param {{ resource: string, waiters: number, warmUp: number, seconds: number }} argument
 * @returns {Promise<CrowdFigures>}
 *
 * @typedef {object} CrowdFigures
 * @property {number} rate   grants per second
 * @property {number} handoffs   those to another waiter than the one before, per second
 * @property {number} [p50]   milliseconds of these, from just before the call of release until the
 *   other waiter has the lock
 * @property {number} [p99]
 * @property {number} served   the share of the waiters that had the lock at least once
 * @property {number} [jumped]   the share of grants that went past somebody who had called earlier,
 *   from the very first on: order is not something to warm up
 */
async function crowd(contender, { resource, waiters, warmUp, seconds }) {
  for (let waiter = 0; waiter < waiters; waiter++) {
    acquireAndRelease(contender, resource, waiter).catch((error) => (failure = error))
  }
  await sleep(warmUp * 1000)

  startAgain()
  const started = now()
  await sleep(seconds * 1000)
  const elapsed = now() - started
  const { grants, handoffs, served } = measured
  if (failure) throw failure

  const kept = delays.slice(0, Math.min(handoffs, delays.length))
  return {
    rate: (grants / elapsed) * 1000,
    handoffs: (handoffs / elapsed) * 1000,
    p50: handoffs > 0 ? quantile(kept, 0.5) : undefined,
    p99: handoffs > 0 ? quantile(kept, 0.99) : undefined,
    served: served.size / waiters,
    jumped: allGrants > 0 ? allJumped / allGrants : undefined,
  }
}

function startAgain() {
  measured = { grants: 0, handoffs: 0, served: new Set() }
}

async function acquireAndRelease(contender, resource, waiter) {
  for (;;) {
    const ticket = ++tickets
    const lock = await contender.acquire(resource)
    const time = now()
    if (!lock) throw new Error(`${contender.name} gave up waiting`)
    count(waiter, ticket, time)

    releasedAt = now()
    await contender.release(lock)
  }
}

function count(waiter, ticket, time) {
  allGrants++
  measured.grants++
  measured.served.add(waiter)
  if (waiter !== previous && releasedAt !== undefined) {
    if (measured.handoffs < delays.length) delays[measured.handoffs] = time - releasedAt
    measured.handoffs++
  }
  previous = waiter

  if (ticket === oldest) {
    do oldest++
    while (ahead.delete(oldest))
  } else {
    ahead.add(ticket)
    allJumped++
  }
}

/** How many grants there have been so far. */
function countGrants() {
  if (failure) throw failure
  return allGrants
}

module.exports = { crowd, countGrants }
