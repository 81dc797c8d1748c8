'use strict'

const assert = require('node:assert/strict')
const { after, before, describe } = require('node:test')
const distLock = require('../..')
const { startRedis } = require('./redis.js')

/**
 * Tests of the Web Locks API that hold in Redis and in memory.
 *
 *     inEachStore(({ open }) => {
 *       test('a request resolves with what the callback does', async () => {
 *         assert.equal(await open().request('a', () => 'value'), 'value')
 *
 * @param {(store: { open: (options?: object) => any, source: () => string }) => void} tests `open`
 *   makes a manager whose names are its own; `source` is what several managers of one store are made from
 */
function inEachStore(tests) {
  let redis
  const starting = startRedis({ after })
  before(async () => (redis = await starting))

  const stores = {
    Redis: () => redis.url,
    memory: () => `memory:web-${++number}`,
  }
  for (const [store, source] of Object.entries(stores)) {
    const open = (options) => distLock(source(), { keyPrefix: `${++number}:`, ...options })
    describe(`in ${store}`, () => tests({ open, source }))
  }
}

let number = 0

/** Settings of its own make a connection of its own. */
const ownConnection = () => ({ connectTimeout: 9000 + ++number })

/** A promise, and what settles it. */
function gate() {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { open: resolve, reject }))
  return parts
}

/** Requests a lock and resolves once it is held, until `open` is called; `done` is the request. */
async function hold(locks, name, options = {}) {
  const held = gate()
  const end = gate()
  const done = locks.request(name, options, (lock) => {
    held.open(lock)
    return end.promise
  })
  done.catch(held.reject)
  const lock = await held.promise
  return { lock, open: end.open, reject: end.reject, done }
}

const isAbort = (error) => {
  assert.ok(error instanceof DOMException)
  assert.equal(error.name, 'AbortError')
  assert.equal(error.code, 20)
  assert.equal(error.cause.code, 'ERR_LOCK_LOST')
  return true
}

const isFree = (locks, name) => locks.request(name, { ifAvailable: true }, (lock) => lock !== null)

module.exports = { inEachStore, ownConnection, gate, hold, isAbort, isFree }
