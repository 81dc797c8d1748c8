'use strict'

// What a lock of version 2 is.

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { ask, bothVersions, ID } = require('./support/both.js')

const { each, same, differs } = bothVersions()

const FIELDS = ['key', 'id', 'owner', 'release', 'extend', 'acquiredOnAttempt', 'acquireDelay']
const PLAIN = { writable: true, enumerable: true, configurable: true }

/** How an object is made, as opposed to what is in it. */
function shape(object) {
  return Object.entries(Object.getOwnPropertyDescriptors(object)).map(
    ([name, { value, ...flags }]) => [name, typeof value, value?.length, flags],
  )
}

each('a lock has its properties in order', async ({ locks }) => {
  assert.deepEqual(Object.keys(await ask(locks.acquire, 'a')), FIELDS)
})

each('a lock that was looked up has the first five', async ({ locks }) => {
  await ask(locks.acquire, 'a')

  assert.deepEqual(Object.keys(await ask(locks.getAcquiredLock, 'a')), FIELDS.slice(0, 5))
})

each('a lock is a plain object with plain, writable properties', async ({ locks }) => {
  const acquired = await ask(locks.acquire, 'a')
  const found = await ask(locks.getAcquiredLock, 'a')

  for (const lock of [acquired, found]) {
    assert.equal(lock.constructor, Object)
    assert.equal(Object.prototype.toString.call(lock), '[object Object]')
    for (const name of Object.keys(lock)) {
      const { value, ...flags } = Object.getOwnPropertyDescriptor(lock, name)
      assert.deepEqual(flags, PLAIN, name)
    }
    assert.ok(Object.isExtensible(lock))
  }
})

same('locks are made alike', async ({ locks }) => {
  const acquired = await ask(locks.acquire, 'a', 'me')
  const found = await ask(locks.getAcquiredLock, 'a')

  const json = (lock) => JSON.stringify({ ...lock, id: '', acquireDelay: 0 })
  const enumerable = (lock) => shape({ ...lock, id: '' })
  return [acquired, found].map((lock) => [enumerable(lock), json(lock)])
})

each('an id is c and 24 characters of [a-z0-9], and each is new', async ({ locks }) => {
  const ids = new Set()
  for (let index = 0; index < 200; index++) ids.add((await ask(locks.acquire, `a${index}`)).id)

  assert.equal(ids.size, 200)
  for (const id of ids) assert.match(id, ID)
})

each('a lock that was free is acquired on attempt 1', async ({ locks }) => {
  assert.equal((await ask(locks.acquire, 'a')).acquiredOnAttempt, 1)
})

each('a lock that was taken is acquired on a later attempt', async ({ distLock, client }) => {
  const patient = distLock(client, { retryDelay: 10 })
  const lock = await ask(patient.acquire, 'a')

  const waiting = ask(patient.acquire, 'a')
  // Answered after the first try.
  await ask(patient.getAcquiredLock, 'a')
  await ask(lock.release)
  const { acquiredOnAttempt } = await waiting

  assert.ok(acquiredOnAttempt > 1, `${acquiredOnAttempt}`)
})

differs('acquireDelay is the time it took, in whole milliseconds', async (world) => {
  const { locks } = world
  const lock = await ask(locks.acquire, 'a')

  const started = performance.now()
  const waiting = ask(locks.acquire, 'a')
  await sleep(100)
  await ask(lock.release)
  const { acquireDelay } = await waiting
  const took = performance.now() - started

  assert.ok(Number.isInteger(acquireDelay), `${acquireDelay}`)
  assert.ok(acquireDelay > 90 && acquireDelay <= took + 1, `${acquireDelay} of ${took}`)
})

each('changing the fields of a lock changes nothing', async ({ locks, redis }) => {
  const lock = await ask(locks.acquire, 'a')
  Object.assign(lock, { key: 'lock:b', id: 'other', owner: 'other' })

  assert.equal(await ask(lock.extend, 5000), true)
  assert.equal(await ask(lock.release), true)
  assert.deepEqual(await redis.lockKeys(), [])
})

each(
  'changing the fields of a lock that was looked up changes nothing',
  async ({ locks, redis }) => {
    await ask(locks.acquire, 'a')
    const lock = await ask(locks.getAcquiredLock, 'a')
    Object.assign(lock, { key: 'lock:b', id: 'other', owner: 'other' })

    assert.equal(await ask(lock.extend, 5000), true)
    assert.equal(await ask(lock.release), true)
    assert.deepEqual(await redis.lockKeys(), [])
  },
)

each('release and extend work when they are taken off the lock', async ({ locks }) => {
  const { release, extend } = await ask(locks.acquire, 'a')
  assert.equal(await ask(extend, 5000), true)
  assert.equal(await ask(release), true)

  await ask(locks.acquire, 'a')
  const found = await ask(locks.getAcquiredLock, 'a')
  assert.equal(await ask(found.extend, 5000), true)
  assert.equal(await ask(found.release), true)
})

each("a lock's methods go through the manager's as they are then", async ({ locks }) => {
  const acquired = await ask(locks.acquire, 'a')
  const found = await ask(locks.getAcquiredLock, 'a')
  const calls = []
  locks.releaseLock = function (...args) {
    calls.push(['release', this === locks, ...args])
  }
  locks.extendLock = function (...args) {
    calls.push(['extend', this === locks, ...args])
  }
  const callback = () => assert.fail('the stub does not call it')

  for (const lock of [acquired, found]) {
    assert.equal(lock.release(callback), undefined)
    assert.equal(lock.extend(1000, callback), undefined)
  }

  const { id } = acquired
  const both = [
    ['release', true, 'a', id, callback],
    ['extend', true, 'a', id, 1000, callback],
  ]
  assert.deepEqual(calls, [...both, ...both])
})

each('a stub that is taken away again is not seen any more', async ({ locks }) => {
  const lock = await ask(locks.acquire, 'a')
  const { releaseLock } = locks
  locks.releaseLock = (name, id, callback) => callback(new Error('stubbed'))
  await assert.rejects(ask(lock.release), { message: 'stubbed' })

  locks.releaseLock = releaseLock

  assert.equal(await ask(lock.release), true)
})

differs('without a callback release() and extend() return promises', async ({ locks }) => {
  const acquired = await ask(locks.acquire, 'a')
  assert.equal(await acquired.extend(1000), true)
  assert.equal(await acquired.release(), true)
  assert.equal(await acquired.release(), false)
  assert.equal(await acquired.extend(1000), false)

  await ask(locks.acquire, 'a')
  const found = await ask(locks.getAcquiredLock, 'a')
  assert.equal(await found.extend(1000), true)
  assert.equal(await found.release(), true)
})

differs('a callback that is undefined is none', async ({ locks }) => {
  const lock = await locks.acquire('a', 'me', undefined)

  assert.equal((await locks.getAcquiredLock('a', undefined)).id, lock.id)
  assert.equal(await lock.extend(1000, undefined), true)
  assert.equal(await locks.extendLock('a', lock.id, 1000, undefined), true)
  assert.equal(await lock.release(undefined), true)
  assert.equal(await locks.releaseLock('a', lock.id, undefined), false)
})

differs('a bare lock.release(), as the README of version 2 has it, releases', async (world) => {
  const { locks } = world

  await new Promise((resolve) => {
    locks.acquire('a', (error, lock) => {
      lock.release()
      resolve()
    })
  })

  assert.equal((await locks.acquire('a')).acquiredOnAttempt, 1)
})
