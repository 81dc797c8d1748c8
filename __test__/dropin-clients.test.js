'use strict'

// What version 2 had from its client. All of them: clients-*.test.js.

const assert = require('node:assert/strict')
const { ask, bothVersions, tell } = require('./support/both.js')

const { each, same } = bothVersions()

/** Where the lock on `name` lies: the key of its hash, by the number of the database. */
async function places(redis, name) {
  const connection = await redis.connect()
  const found = {}
  for (const db of [0, 3, 5]) {
    await connection.command('SELECT', db)
    const keys = await connection.command('KEYS', `*${name}`)
    if (keys.length > 0) found[db] = keys
  }
  connection.close()
  return found
}

same(
  'the prefix of the client is part of the key and not of lock.key',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a', 'me')
    const found = await ask(locks.getAcquiredLock, 'a')

    assert.equal(lock.key, 'lock:a')
    assert.equal(await redis.command('HGET', 'app:lock:a', 'id'), lock.id)
    const told = [tell(lock), tell(found), await places(redis, 'a')]
    return [...told, await ask(found.extend, 1000), await ask(found.release)]
  },
  { kinds: ['redis-3.1', 'ioredis-5'], settings: { prefix: 'app:' } },
)

same(
  'locks are in the database of the options',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')

    const where = await places(redis, 'a')
    assert.deepEqual(where, { 3: ['lock:a'] })
    return [where, await ask(lock.release)]
  },
  { kinds: ['redis-3.1', 'ioredis-5'], settings: { db: 3 } },
)

same(
  'locks are in the database that was selected before',
  async ({ distLock, open, kind, redis }) => {
    const client = open()
    await kind.ready(client)
    await kind.select(client, 3)

    await ask(distLock(client).acquire, 'a')

    assert.deepEqual(await places(redis, 'a'), { 3: ['lock:a'] })
  },
)

same('locks are in the database that is selected in the same tick', async (world) => {
  const { distLock, open, kind, redis } = world
  const client = open()

  const selected = kind.select(client, 3)
  await ask(distLock(client).acquire, 'a')
  await selected

  assert.deepEqual(await places(redis, 'a'), { 3: ['lock:a'] })
})

same('locks are in the database that is selected later', async (world) => {
  const { locks, client, kind, redis } = world
  await ask(locks.acquire, 'a')

  await kind.select(client, 3)
  const second = await ask(locks.acquire, 'a')
  kind.select(client, 5).catch(() => {})
  await ask(locks.acquire, 'a')

  assert.deepEqual(await places(redis, 'a'), { 0: ['lock:a'], 3: ['lock:a'], 5: ['lock:a'] })
  // It was made in another database.
  return ask(second.release)
})

each('a client that was not connected yet gives locks', async ({ locks }) => {
  assert.equal((await ask(locks.acquire, 'a')).key, 'lock:a')
})

each('many managers on one client cost no warning', async ({ t, distLock, client }) => {
  const warnings = []
  const listener = (warning) => warnings.push(warning.name)
  process.on('warning', listener)
  t.after(() => process.off('warning', listener))

  const managers = Array.from({ length: 9 }, () => distLock(client))
  const got = await Promise.all(managers.map((locks, index) => ask(locks.acquire, `a${index}`)))

  assert.equal(new Set(got.map(({ id }) => id)).size, 9)
  assert.deepEqual(warnings, [])
})
