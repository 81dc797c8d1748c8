'use strict'

const { spin } = require('../clock.js')

let guarded

/** Takes a lock that is to be renewed until it is released. */
async function guard(contender, { resource, ttl }) {
  guarded = await contender.guard(resource, ttl)
}

/**
 * Blocks the event loop.
 *
 * @returns {{ saysHeld: boolean, remaining?: number }} what the library says right after that
 */
function block(contender, { seconds }) {
  spin(seconds * 1000)
  return inspect()
}

/** What the library says of the lock. */
function inspect() {
  return { saysHeld: guarded.isHeld(), remaining: guarded.remaining?.() }
}

function endGuard() {
  // With some libraries this takes seconds once the lock is lost.
  void Promise.resolve(guarded.release()).catch(() => {})
}

module.exports = { guard, block, inspect, endGuard }
