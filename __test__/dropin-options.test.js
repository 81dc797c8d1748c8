'use strict'

// The options of version 2, as it took them.

const assert = require('node:assert/strict')
const { ask, bothVersions, tell } = require('./support/both.js')

const { each, same, differs } = bothVersions()

/** An object's own properties, in order. */
const properties = (object) => Object.entries(Object.getOwnPropertyDescriptors(object))

const FILLED = [
  ['no options', {}],
  ['undefined options', { ttl: undefined, keyPrefix: undefined, maxRetries: undefined }],
  ['null options', { ttl: null, retryDelay: null, maxRetries: null, keyPrefix: null }],
  ['falsy options', { ttl: 0, retryDelay: 0, maxRetries: 0, keyPrefix: '' }],
  ['other options', { keyPrefix: 'mine:', other: true, ttl: 5 }],
  ['options of the wrong type', { ttl: 'abc', retryDelay: {}, maxRetries: NaN, keyPrefix: 5 }],
  ['options without a prototype', Object.create(null)],
  ['a function as options', Object.assign(() => {}, { ttl: 7 })],
]

for (const [what, options] of FILLED) {
  same(`${what} are filled with the defaults where undefined`, async ({ distLock, client }) => {
    const given =
      typeof options === 'function'
        ? Object.assign(() => {}, options)
        : Object.create(Object.getPrototypeOf(options), Object.getOwnPropertyDescriptors(options))

    distLock(client, given)

    return properties(given).filter(([name]) => typeof options !== 'function' || name !== 'name')
  })
}

for (const nothing of [undefined, null, false, 0, '']) {
  each(`${JSON.stringify(nothing)} as options means the defaults`, async ({ distLock, client }) => {
    const lock = await ask(distLock(client, nothing).acquire, 'a')

    assert.equal(lock.key, 'lock:a')
  })
}

each('the defaults are a ttl of 30000 and the prefix lock:', async ({ locks, redis }) => {
  await ask(locks.acquire, 'a')

  const pttl = await redis.command('PTTL', 'lock:a')
  assert.ok(pttl > 20000 && pttl <= 30000, `pttl ${pttl}`)
})

each('a ttl that is changed later counts from the next call on', async (world) => {
  const { distLock, client, redis } = world
  const options = { ttl: 1000 }
  const locks = distLock(client, options)
  await ask(locks.acquire, 'a')

  options.ttl = 90000
  await ask(locks.acquire, 'b')

  assert.ok((await redis.command('PTTL', 'lock:a')) <= 1000)
  assert.ok((await redis.command('PTTL', 'lock:b')) > 60000)
})

each('a keyPrefix that is changed later counts from the next call on', async (world) => {
  const { distLock, client, redis } = world
  const options = {}
  const locks = distLock(client, options)
  const first = await ask(locks.acquire, 'a')

  options.keyPrefix = 'other:'
  const second = await ask(locks.acquire, 'a')

  assert.deepEqual([first.key, second.key], ['lock:a', 'other:a'])
  assert.deepEqual((await redis.command('KEYS', '*:a')).sort(), ['lock:a', 'other:a'])
  assert.equal((await ask(locks.getAcquiredLock, 'a')).id, second.id)
  assert.equal(await ask(locks.releaseLock, 'a', first.id), false)
  assert.equal(await ask(first.release), false)
})

each(
  'maxRetries and retryDelay that are changed later count from the next call on',
  async (world) => {
    const { distLock, client } = world
    const options = { maxRetries: -1, retryDelay: 100000 }
    const locks = distLock(client, options)
    const lock = await ask(locks.acquire, 'a')

    options.maxRetries = 0
    assert.equal(await ask(locks.acquire, 'a'), false)
    options.maxRetries = -1
    options.retryDelay = 1
    const [next] = await Promise.all([ask(locks.acquire, 'a'), ask(lock.release)])

    assert.notEqual(next, false)
  },
)

each('frozen options work', async ({ distLock, client, redis }) => {
  const options = { ttl: 5000, retryDelay: 10, maxRetries: 0, keyPrefix: 'frozen:' }

  const locks = distLock(client, Object.freeze(options))

  const lock = await ask(locks.acquire, 'a')
  assert.equal(lock.key, 'frozen:a')
  assert.ok((await redis.command('PTTL', 'frozen:a')) <= 5000)
  assert.equal(await ask(locks.acquire, 'a'), false)
})

differs('frozen options without some are completed by the defaults', async (world) => {
  const { distLock, client, redis } = world

  const locks = distLock(client, Object.freeze({ maxRetries: 0 }))

  const lock = await ask(locks.acquire, 'a')
  assert.equal(lock.key, 'lock:a')
  assert.ok((await redis.command('PTTL', 'lock:a')) > 20000)
  assert.equal(await ask(locks.acquire, 'a'), false)
})

each('inherited options work', async ({ distLock, client, redis }) => {
  const locks = distLock(client, Object.create({ keyPrefix: 'inherited:', ttl: 90000 }))

  assert.equal((await ask(locks.acquire, 'a')).key, 'inherited:a')
  assert.ok((await redis.command('PTTL', 'inherited:a')) > 60000)
})

each('options that are getters are asked at each call', async ({ distLock, client }) => {
  let count = 0
  class Settings {
    get keyPrefix() {
      return `${count++}:`
    }
  }
  const locks = distLock(client, new Settings())

  const first = Number.parseInt((await ask(locks.acquire, 'a')).key)
  const second = Number.parseInt((await ask(locks.acquire, 'a')).key)

  assert.ok(second > first)
})

each('a manager can be made with new', async ({ distLock, client }) => {
  const locks = new distLock(client, { keyPrefix: 'new:' })

  assert.equal((await ask(locks.acquire, 'a')).key, 'new:a')
})

each('the methods work when they are taken off the manager', async ({ locks }) => {
  const { acquire, getAcquiredLock, releaseLock, extendLock } = locks

  const { id } = await ask(acquire, 'a')
  assert.equal((await ask(getAcquiredLock, 'a')).id, id)
  assert.equal(await ask(extendLock, 'a', id, 5000), true)
  assert.equal(await ask(releaseLock, 'a', id), true)
})

same('a manager has the four methods first', async ({ locks }) =>
  properties(locks)
    .slice(0, 4)
    .map(([name, { value, ...flags }]) => [name, typeof value, value.length, flags]),
)

const PREFIXES = [null, 5, '', 'a b:', 0, false, true, NaN, ['x', 'y'], { toString: () => 'o:' }]

for (const keyPrefix of PREFIXES) {
  same(`keyPrefix ${JSON.stringify(keyPrefix)} is joined as text`, async (world) => {
    const { distLock, client, redis } = world
    const locks = distLock(client, { keyPrefix, maxRetries: 0 })

    const lock = await ask(locks.acquire, 'name')
    const found = await ask(locks.getAcquiredLock, 'name')

    assert.equal(found.id, lock.id)
    return [tell(lock), tell(found), (await redis.command('KEYS', '*name')).sort()]
  })
}

same('inherited options can be read from the object afterwards', async ({ distLock, client }) => {
  const options = Object.create({ ttl: 1234, keyPrefix: undefined, maxRetries: null })

  distLock(client, options)

  return [options.ttl, options.retryDelay, options.maxRetries, options.keyPrefix]
})
