'use strict'

const Redis = require('ioredis')
const { TTL } = require('./bare-scripts.js')
const { guardedBy } = require('./guarded.js')

/** What its README shows; it counts tries and would give up after 10, so -1 for the acquire. */
const SETTINGS = {
  driftFactor: 0.01,
  retryCount: 10,
  retryDelay: 200,
  retryJitter: 200,
  automaticExtensionThreshold: 500,
}

/** A library with the API of redlock 5. */
function redlockOnIoredis(name, Redlock) {
  let client
  let redlock

  return {
    name,
    open(url) {
      client = new Redis(url)
      redlock = new Redlock([client], SETTINGS)
    },
    acquire: (resource) => redlock.acquire([resource], Number(TTL), { retryCount: -1 }),
    release: (lock) => lock.release(),
    guard: (resource, ttl) =>
      guardedBy((routine) => redlock.using([resource], ttl, { retryCount: -1 }, routine)),
    close: () => client.quit(),
  }
}

module.exports = { redlockOnIoredis }
