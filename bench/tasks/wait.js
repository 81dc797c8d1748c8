'use strict'

const { now } = require('../clock.js')

let held
let firstGrant
let grantedAt

/** Takes a lock that is free. */
async function hold(contender, { resource }) {
  held = await contender.acquire(resource)
  if (!held) throw new Error(`${contender.name} did not get the free lock`)
}

/** Releases it. @returns {Promise<number>} when that was called, in the time of `clock.js` */
async function letGo(contender) {
  const time = now()
  await contender.release(held)
  return time
}

/** Begins to wait, many times for the same lock. */
function beginToWait(contender, { resource, waiters }) {
  const waiting = Array.from({ length: waiters }, async () => {
    const lock = await contender.acquire(resource)
    if (!lock) throw new Error(`${contender.name} gave up waiting`)
    grantedAt ??= now()
  })
  firstGrant = Promise.race(waiting)
  firstGrant.catch(() => {})
  for (const one of waiting) one.catch(() => {})
}

/** Resolves once the first of them has the lock. @returns {Promise<number>} when that was */
async function awaitFirst() {
  await firstGrant
  return grantedAt
}

/** When the first of them got the lock, if one has. */
function peekFirst() {
  return grantedAt
}

module.exports = { hold, letGo, beginToWait, awaitFirst, peekFirst }
