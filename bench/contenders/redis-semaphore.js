'use strict'

const Redis = require('ioredis')
const { Mutex } = require('redis-semaphore')
const { TTL } = require('./bare-scripts.js')
const { withVersion } = require('./with-version.js')

/** As it comes, a try each 10 ms; without the end after 10 s. */
const SETTINGS = { lockTimeout: Number(TTL), retryInterval: 10, acquireTimeout: Infinity }

let client

/** Its mutex. It renews every lock, at 0.8 of the ttl. */
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
    // What it does by default when a lock is lost is to end the process.
    const onLockLost = () => {}
    const mutex = new Mutex(client, resource, { ...SETTINGS, lockTimeout: ttl, onLockLost })
    await mutex.acquire()
    return { isHeld: () => mutex.isAcquired, release: () => mutex.release() }
  },
  close: () => client.quit(),
}
