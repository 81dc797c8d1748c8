'use strict'

// How each outcome of a call reaches a promise and a callback.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { LockError } = require('..')
const { freePort, startRedis } = require('./support/redis.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url, { retryDelay: 5 })
})
beforeEach(() => redis.command('FLUSHALL'))

/** The arguments of the callback of one call. */
function told(call) {
  return new Promise((resolve) => call((...args) => resolve(args)))
}

const isTaken = { maxRetries: 1 }

test('acquired: the lock', async () => {
  const lock = await locks.acquire('a', 'me')
  assert.deepEqual([lock.key, lock.owner], ['lock:a', 'me'])

  const [error, other] = await told((callback) => locks.acquire('b', { owner: 'me' }, callback))
  assert.deepEqual([error, other.key, other.owner], [null, 'lock:b', 'me'])
})

test('not acquired within maxRetries or timeout: false', async () => {
  await locks.acquire('a')

  const both = [isTaken, { timeout: 1000 }]
  const promises = both.map((options) => locks.acquire('a', options))
  const callbacks = both.map((options) => told((callback) => locks.acquire('a', options, callback)))
  assert.deepEqual(await Promise.all(promises), [false, false])
  assert.deepEqual(await Promise.all(callbacks), [
    [null, false],
    [null, false],
  ])
})

test('extended and released: true', async () => {
  const lock = await locks.acquire('a')
  assert.equal(await locks.extendLock('a', lock.id, 1000), true)
  assert.deepEqual(await told((callback) => lock.extend(1000, callback)), [null, true])
  assert.equal(await locks.releaseLock('a', lock.id), true)

  const other = await locks.acquire('b')
  assert.deepEqual(await told((callback) => other.release(callback)), [null, true])
})

test('not ours any more: false', async () => {
  const lock = await locks.acquire('a')
  await lock.release()
  await locks.acquire('a')

  assert.equal(await lock.extend(1000), false)
  assert.equal(await lock.release(), false)
  assert.equal(await locks.releaseLock('a', lock.id), false)
  assert.deepEqual(await told((callback) => lock.extend(1000, callback)), [null, false])
  assert.deepEqual(await told((callback) => lock.release(callback)), [null, false])
  assert.equal(await redis.command('EXISTS', 'lock:a'), 1)
})

test('nobody holds it: null', async () => {
  assert.equal(await locks.getAcquiredLock('a'), null)
  assert.deepEqual(await told((callback) => locks.getAcquiredLock('a', callback)), [null, null])
})

const BAD = {
  'a name': [
    () => locks.acquire(''),
    (callback) => locks.acquire('', callback),
    'resourceName is required and must be a string',
  ],
  'the name of a lock to look up': [
    () => locks.getAcquiredLock(7),
    (callback) => locks.getAcquiredLock(7, callback),
    'resourceName is required and must be a string',
  ],
  'an owner': [
    () => locks.acquire('a', null),
    (callback) => locks.acquire('a', null, callback),
    'owner must be a string',
  ],
  'an owner among the options': [
    () => locks.acquire('a', { owner: 5 }),
    (callback) => locks.acquire('a', { owner: 5 }, callback),
    'owner must be a string',
  ],
  'an id': [
    () => locks.releaseLock('a'),
    (callback) => locks.releaseLock('a', undefined, callback),
    'id is required and must be a string',
  ],
  milliseconds: [
    () => locks.extendLock('a', 'id', '5'),
    (callback) => locks.extendLock('a', 'id', '5', callback),
    'milliseconds is required and must be a number',
  ],
}

for (const [what, [asPromise, asCallback, message]] of Object.entries(BAD)) {
  test(`${what} that is bad: the same Error to both`, async () => {
    const [error, ...others] = await told(asCallback)
    assert.deepEqual([error.constructor, error.message, others], [Error, message, []])

    let promise
    assert.doesNotThrow(() => (promise = asPromise()))
    await assert.rejects(promise, { name: 'Error', message })
  })
}

test('Redis refuses: a LockError that says how', async () => {
  await redis.command('SET', 'lock:a', 'text')
  const refusal = { name: 'LockError', code: 'ERR_LOCK_REDIS', redisCode: 'WRONGTYPE' }

  await assert.rejects(locks.getAcquiredLock('a'), refusal)
  await assert.rejects(locks.releaseLock('a', 'id'), refusal)
  const args = await told((callback) => locks.extendLock('a', 'id', 1000, callback))
  assert.equal(args.length, 1)
  assert.ok(args[0] instanceof LockError)
  assert.equal(args[0].redisCode, 'WRONGTYPE')
})

test('Redis cannot be reached: ERR_LOCK_UNREACHABLE, and never false', async () => {
  const nowhere = distLock(`redis://127.0.0.1:${await freePort()}`, { connectTimeout: 100 })
  const unreachable = { name: 'LockError', code: 'ERR_LOCK_UNREACHABLE' }

  await Promise.all([
    assert.rejects(nowhere.acquire('a'), unreachable),
    assert.rejects(nowhere.acquire('a', { maxRetries: 0 }), unreachable),
    assert.rejects(nowhere.acquire('a', { timeout: 20 }), unreachable),
    assert.rejects(nowhere.getAcquiredLock('a'), unreachable),
    assert.rejects(nowhere.releaseLock('a', 'id'), unreachable),
    assert.rejects(nowhere.extendLock('a', 'id', 1000), unreachable),
  ])
  const args = await told((callback) => nowhere.acquire('a', callback))
  assert.deepEqual([args.length, args[0].code], [1, 'ERR_LOCK_UNREACHABLE'])
})

test('the outcome is unknown: ERR_LOCK_UNKNOWN, and never false', async () => {
  const hasty = distLock(redis.url, { commandTimeout: 800, connectTimeout: 800 })
  const lock = await hasty.acquire('a')
  await redis.pause()
  const unknown = { name: 'LockError', code: 'ERR_LOCK_UNKNOWN' }
  try {
    await Promise.all([
      assert.rejects(hasty.acquire('b'), unknown),
      assert.rejects(hasty.acquire('c', { maxRetries: 0 }), unknown),
      assert.rejects(hasty.releaseLock('a', lock.id), unknown),
    ])
  } finally {
    redis.resume()
  }
})

const REASONS = [new Error('enough'), 'a text', 0, null, '', false, { an: 'object' }]

for (const reason of REASONS) {
  test(`aborted with the reason ${JSON.stringify(reason)}: that very reason`, async () => {
    await locks.acquire('a')
    const controller = new AbortController()
    const { signal } = controller
    const promise = outcomeOf(locks.acquire('a', { signal }))
    const callback = told((callback) => locks.acquire('a', { signal }, callback))

    controller.abort(reason)
    const late = outcomeOf(locks.acquire('a', { signal }))
    const lateCallback = told((callback) => locks.acquire('a', { signal }, callback))

    for (const outcome of [await promise, await late]) {
      assert.deepEqual(outcome, { status: 'rejected', reason })
      assert.equal(outcome.reason, reason)
    }
    for (const args of [await callback, await lateCallback]) {
      assert.equal(args.length, 1)
      assert.equal(args[0], reason)
    }
  })
}

async function outcomeOf(promise) {
  const [outcome] = await Promise.allSettled([promise])
  return outcome
}

test('aborted while it is granted: the lock or the reason, and nothing stays locked', async () => {
  for (let round = 0; round < 30; round++) {
    const controller = new AbortController()
    const lock = await locks.acquire('a')
    const waiting = outcomeOf(locks.acquire('a', { signal: controller.signal }))
    await locks.getAcquiredLock('a')

    // Both cross on their way, and from round to round at another place.
    const released = lock.release()
    for (let turn = 0; turn < round % 6; turn++) await new Promise(setImmediate)
    controller.abort()
    await released
    const { status, value, reason } = await waiting

    if (status === 'fulfilled') await value.release()
    else assert.equal(reason, controller.signal.reason)
    // Were it locked by nobody, it would be for 30 seconds.
    const next = await locks.acquire('a', { timeout: 10000 })
    assert.notEqual(next, false)
    await next.release()
  }
})

test('without a callback each method returns a promise, and with one undefined', async () => {
  const { id } = await locks.acquire('a')

  for (const call of [
    (...callback) => locks.acquire('b', ...callback),
    (...callback) => locks.getAcquiredLock('a', ...callback),
    (...callback) => locks.extendLock('a', id, 1000, ...callback),
    (...callback) => locks.releaseLock('a', id, ...callback),
  ]) {
    const promise = call()
    assert.ok(promise instanceof Promise)
    const value = await promise
    if (value.key === 'lock:b') await value.release()

    let returned = 'nothing yet'
    await told((callback) => (returned = call(callback)))
    assert.equal(returned, undefined)
  }
})
