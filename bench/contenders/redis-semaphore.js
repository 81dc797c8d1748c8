'use strict'

const Redis = require('ioredis')
const { Mutex } = require('redis-semaphore')
const { TTL } = require('./bare-scripts.js')
const { withVersion } = require('./with-version.js')

/**
 * As it comes, a try each 10 ms; without the end after 10 s. It would renew every lock, which takes
 * a timer for each: nobody else here does that unasked, so neither does it.
 */
const SETTINGS = {
  lockTimeout: Number(TTL),
  retryInterval: 10,
  acquireTimeout: Infinity,
  refreshInterval: 0,
}

let client

/** Its mutex. */
module.exports = {
  name: withVersion('redis-semaphore'),
  open(url) {
    client = new Redis(url)
  },
  async acquire(resource) {
    const mutex = new Mutex(client, resource, SETTINGS)
    await mutex.acquire()
    return mutex
  },
  release: (mutex) => mutex.release(),
  async guard(resource, ttl) {
    const mutex = new Mutex(client, resource, {
      ...SETTINGS,
      lockTimeout: ttl,
      refreshInterval: ttl * 0.8, // as it comes
      onLockLost: () => {}, // by default this ends the process
    })
    await mutex.acquire()
    return { isHeld: () => mutex.isAcquired, release: () => mutex.release() }
  },
  close: () => client.quit(),
}
