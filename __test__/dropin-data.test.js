'use strict'

// What lies under a key, and the names of keys.

const assert = require('node:assert/strict')
const { ask, bothVersions, seen } = require('./support/both.js')
const { distLocks } = require('./support/versions.js')

const { each, same, differs } = bothVersions()

each('the key holds a hash with id, then owner, for the ttl', async ({ locks, redis }) => {
  const { id } = await ask(locks.acquire, 'a', 'me')

  assert.equal(await redis.command('TYPE', 'lock:a'), 'hash')
  const fields = await redis.command('HGETALL', 'lock:a')
  assert.deepEqual(fields.slice(0, 4), ['id', id, 'owner', 'me'])
  const pttl = await redis.command('PTTL', 'lock:a')
  assert.ok(pttl > 20000 && pttl <= 30000, `pttl ${pttl}`)
})

each('a released lock leaves no key of its own', async ({ locks, redis }) => {
  const lock = await ask(locks.acquire, 'a')
  await ask(lock.release)

  assert.deepEqual(await redis.lockKeys(), [])
})

differs(
  'other keys are named dist-lock:… and expire',
  async ({ locks, distLock, client, redis }) => {
    const lock = await ask(locks.acquire, 'a')
    const waiting = ask(distLock(client, { retryDelay: 5 }).acquire, 'a')
    await ask(distLock(client, { maxRetries: 5, retryDelay: 5 }).acquire, 'a')
    await checkKeys()

    await ask(lock.release)
    await waiting
    await checkKeys()

    async function checkKeys() {
      for (const key of await redis.command('KEYS', '*')) {
        if (key !== 'lock:a') assert.match(key, /^dist-lock:/)
        assert.ok((await redis.command('PTTL', key)) > 0, `${key} does not expire`)
      }
    }
  },
)

for (const [ours, theirs] of [
  ['version 2', 'version 3'],
  ['version 3', 'version 2'],
]) {
  each(
    `${theirs} excludes, reads, extends and releases what it holds`,
    async ({ locks, client, redis }) => {
      const others = distLocks[theirs](client, { maxRetries: 0 })
      const { id } = await ask(locks.acquire, 'a', 'me')

      assert.equal(await ask(others.acquire, 'a'), false)
      const found = await ask(others.getAcquiredLock, 'a')
      assert.deepEqual([found.key, found.id, found.owner], ['lock:a', id, 'me'])
      assert.equal(await ask(found.extend, 90000), true)
      assert.ok((await redis.command('PTTL', 'lock:a')) > 60000)
      assert.equal(await ask(found.release), true)

      assert.equal(await ask(locks.releaseLock, 'a', id), false)
    },
    { versions: [ours] },
  )
}

same(
  "a string under the key is somebody else's to acquire, and WRONGTYPE to the rest",
  async (world) => {
    const { distLock, client, redis } = world
    await redis.command('SET', 'lock:a', 'text')
    const locks = distLock(client, { maxRetries: 1, retryDelay: 1 })

    const calls = [
      await seen((callback) => locks.acquire('a', callback)),
      await seen((callback) => locks.getAcquiredLock('a', callback)),
      await seen((callback) => locks.releaseLock('a', 'id', callback)),
      await seen((callback) => locks.extendLock('a', 'id', 1000, callback)),
    ]

    const wrongType = ['refused by Redis: WRONGTYPE']
    assert.deepEqual(
      calls.map((call) => call.calls[0].args),
      [[null, false], wrongType, wrongType, wrongType],
    )
    return [calls, await redis.command('GET', 'lock:a'), await redis.command('PTTL', 'lock:a')]
  },
)

same('a hash without id is taken, but held by nobody', async ({ distLock, client, redis }) => {
  await redis.command('HSET', 'lock:a', 'owner', 'me')
  const locks = distLock(client, { maxRetries: 0 })

  return [
    await ask(locks.acquire, 'a'),
    await ask(locks.getAcquiredLock, 'a'),
    await ask(locks.releaseLock, 'a', 'id'),
    await ask(locks.extendLock, 'a', 'id', 1000),
  ]
})

same('a hash without owner has the owner null', async ({ locks, redis }) => {
  await redis.command('HSET', 'lock:a', 'id', 'mine')

  const call = await seen((callback) => locks.getAcquiredLock('a', callback))

  assert.deepEqual(call.calls[0].args[1].aLock[2], ['owner', null])
  return [call, await ask(locks.releaseLock, 'a', 'mine')]
})

same('a hash with empty fields and others beside them is read', async ({ locks, redis }) => {
  await redis.command('HSET', 'lock:a', 'x', 'y', 'owner', '', 'id', '', 'fence', '7')

  return seen((callback) => locks.getAcquiredLock('a', callback))
})

const BYTES = {
  'a byte that is never UTF-8': [0xff],
  'a sequence cut off': [0x61, 0xe2, 0x82],
  'a sequence cut off in the middle': [0xe2, 0x82, 0x61],
  'four bytes cut off': [0xf0, 0x9f, 0x98, 0x62],
  'an overlong sequence': [0xc0, 0xaf],
  'a surrogate as bytes': [0xed, 0xa0, 0x80],
  'beyond the last code point': [0xf4, 0x90, 0x80, 0x80],
  'a byte order mark': [0xef, 0xbb, 0xbf, 0x61],
  'two byte order marks': [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf],
  NUL: [0x61, 0x00, 0x62],
  'line ends': [0x0d, 0x0a, 0x61, 0x0d, 0x0a],
  'four good bytes': [0xf0, 0x9f, 0x94, 0x92],
}

for (const [what, bytes] of Object.entries(BYTES)) {
  same(`${what} in id and owner decodes as it did`, async ({ locks, redis }) => {
    const value = Buffer.from(bytes)
    await redis.command('HSET', 'lock:a', 'id', value, 'owner', value)

    const found = await ask(locks.getAcquiredLock, 'a')

    assert.equal(found.owner, value.toString())
    return [found.id, found.owner, await ask(found.release)]
  })
}

const NAMES = {
  'with NUL': 'a\0b\0',
  'with line ends': 'a\r\n$5\r\nb',
  'with spaces and braces': '{a} b} {',
  'beyond ASCII': 'Zoë ☃ 🔒',
  'with a byte order mark': '\ufeffa',
  'with a lone high surrogate': 'a\ud800b',
  'with a lone low surrogate': '\udc00',
  'with surrogates in the wrong order': '\udc00\ud800',
  'like a field of Object.prototype': '__proto__',
  'of one space': ' ',
  'of 1 MB': 'ü'.repeat(512 * 1024),
}

for (const [what, name] of Object.entries(NAMES)) {
  same(`a name ${what} makes the same key, and is unlocked again`, async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, name, name)

    // On its way the key is UTF-8, whatever the name.
    assert.deepEqual(await redis.lockKeys(), [`lock:${Buffer.from(name)}`])
    const found = await ask(locks.getAcquiredLock, name)
    assert.equal(found.id, lock.id)
    const seen = [lock.key, lock.owner, found.key, found.owner]
    return [...seen, await ask(found.extend, 1000), await ask(found.release)]
  })

  each(
    `a name ${what} is locked for version 3 too`,
    async ({ locks, client }) => {
      const others = distLocks['version 3'](client, { maxRetries: 0 })
      await ask(locks.acquire, name)

      assert.equal(await ask(others.acquire, name), false)
    },
    { versions: ['version 2'], kinds: ['redis-3.1'] },
  )
}

same('a lone surrogate locks the same key as U+FFFD', async ({ locks, distLock, client }) => {
  await ask(locks.acquire, 'a\ud800')

  return ask(distLock(client, { maxRetries: 0 }).acquire, 'a\ufffd')
})

each('an owner of 1 MB is kept', async ({ locks }) => {
  const owner = 'ö'.repeat(512 * 1024)
  await ask(locks.acquire, 'a', owner)

  assert.equal((await ask(locks.getAcquiredLock, 'a')).owner, owner)
})

each('the texts of many answers at once are kept apart', async ({ locks }) => {
  const owners = Array.from({ length: 200 }, (_, index) => '🔒é'.repeat(index % 7) + index)
  await Promise.all(owners.map((owner) => ask(locks.acquire, owner, owner)))

  const found = await Promise.all(owners.map((owner) => ask(locks.getAcquiredLock, owner)))

  assert.deepEqual(
    found.map(({ owner }) => owner),
    owners,
  )
})
