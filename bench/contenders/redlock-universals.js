'use strict'

const { createLock } = require('redlock-universal')
const { TTL } = require('./bare-scripts.js')
const { guardedBy } = require('./guarded.js')

/**
 * A try each 100 ms, as it comes; without the end after three. "Lean" is the fastest of its modes:
 * the others ask whether the server is well and keep statistics.
 */
const SETTINGS = {
  ttl: Number(TTL),
  retryDelay: 100,
  retryAttempts: Number.MAX_SAFE_INTEGER,
  performance: 'lean',
}

/**
 * redlock-universal on one of its clients.
 *
 * @param {(url: string) => Promise<{ adapter: object, close: () => unknown }>} connect
 */
function redlockUniversal(name, connect) {
  let connection

  return {
    name,
    async open(url) {
      connection = await connect(url)
    },
    async acquire(resource) {
      const lock = createLock({ ...SETTINGS, adapter: connection.adapter, key: resource })
      return { lock, handle: await lock.acquire() }
    },
    release: ({ lock, handle }) => lock.release(handle),
    guard(resource, ttl) {
      const lock = createLock({ ...SETTINGS, ttl, adapter: connection.adapter, key: resource })
      return guardedBy((routine) => lock.using(routine))
    },
    close: () => connection.close(),
  }
}

module.exports = { redlockUniversal }
