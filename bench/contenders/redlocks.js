'use strict'

const Redis = require('ioredis')
const { TTL } = require('./bare-scripts.js')
const { guardedBy } = require('./guarded.js')

/** When redlock tries again, as its README shows it: each 200 to 400 ms. */
const RETRIES = { driftFactor: 0.01, retryDelay: 200, retryJitter: 200 }

/** It counts tries and would give up after 10, so -1 for the acquire. */
const SETTINGS = { ...RETRIES, retryCount: 10, automaticExtensionThreshold: 500 }

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

module.exports = { RETRIES, redlockOnIoredis }
