'use strict'

const { createClient } = require('redis')
const { createLock, NodeRedisAdapter } = require('redlock-universal')
const { TTL } = require('./bare-scripts.js')
const { guardedBy } = require('./guarded.js')
const { withVersion } = require('./with-version.js')

/** As it comes, a try each 100 ms; without the end after three. */
const SETTINGS = { ttl: Number(TTL), retryDelay: 100, retryAttempts: Number.MAX_SAFE_INTEGER }

/** By resource: each asks whether the server is well when it is used first. */
const locks = new Map()
let client
let adapter

/** On redis 5, where it is faster than on ioredis. */
module.exports = {
  name: withVersion('redlock-universal'),
  async open(url) {
    client = await createClient({ url }).connect()
    adapter = new NodeRedisAdapter(client)
  },
  async acquire(resource) {
    if (!locks.has(resource)) {
      locks.set(resource, createLock({ ...SETTINGS, adapter, key: resource }))
    }
    const lock = locks.get(resource)
    return { lock, handle: await lock.acquire() }
  },
  release: ({ lock, handle }) => lock.release(handle),
  guard(resource, ttl) {
    const lock = createLock({ ...SETTINGS, ttl, adapter, key: resource })
    return guardedBy((routine) => lock.using(routine))
  },
  close: () => client.close(),
}
