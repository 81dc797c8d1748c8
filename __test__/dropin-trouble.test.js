'use strict'

// What of version 2's data in Redis survives trouble.

const assert = require('node:assert/strict')
const { ask, bothVersions, seen, tell } = require('./support/both.js')
const { startRedis } = require('./support/redis.js')

// So that a replica has its copy at once.
const { each, same, differs } = bothVersions({ args: ['--repl-diskless-sync-delay', '0'] })
// Where the connection is ours, the client does not matter.
const ONE = { kinds: ['redis-3.1'] }

/** The four methods, one after the other. */
async function lockAndUnlock(locks, name) {
  const { id } = await ask(locks.acquire, name, 'me')
  const found = await ask(locks.getAcquiredLock, name)
  const extended = await ask(locks.extendLock, name, id, 5000)
  const released = await ask(locks.releaseLock, name, id)
  assert.deepEqual([found.id, extended, released], [id, true, true])
}

/** An acquire that has been told once that the lock is taken. */
async function startWaiting({ locks, redis }) {
  await redis.command('HSET', 'lock:a', 'id', 'other', 'owner', 'other')
  const waiting = ask(locks.acquire, 'a')
  waiting.catch(() => {}) // Whoever awaits it is told.
  // Answered after the first try, which left before it.
  await ask(locks.getAcquiredLock, 'b')
  return { waiting }
}

each('it survives SCRIPT FLUSH', async ({ locks, redis }) => {
  await lockAndUnlock(locks, 'a')
  await redis.command('SCRIPT', 'FLUSH')
  await lockAndUnlock(locks, 'a')

  const { id } = await ask(locks.acquire, 'a')
  await redis.command('SCRIPT', 'FLUSH')
  assert.equal(await ask(locks.extendLock, 'a', id, 5000), true)
  await redis.command('SCRIPT', 'FLUSH')
  assert.equal(await ask(locks.releaseLock, 'a', id), true)
})

each('a waiter survives SCRIPT FLUSH', async (world) => {
  const { waiting } = await startWaiting(world)

  await world.redis.command('SCRIPT', 'FLUSH')
  await world.redis.command('DEL', 'lock:a')

  assert.equal((await waiting).key, 'lock:a')
})

each('out of memory only acquire fails: the rest still works', async ({ locks, redis }) => {
  const lock = await ask(locks.acquire, 'a')
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    const call = await seen((callback) => locks.acquire('b', callback))
    assert.deepEqual(call.calls[0].args, ['refused by Redis: OOM'])

    assert.equal((await ask(locks.getAcquiredLock, 'a')).id, lock.id)
    assert.equal(await ask(lock.extend, 5000), true)
    assert.equal(await ask(lock.release), true)
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
  await lockAndUnlock(locks, 'b')
})

each('out of memory release and extend work beside an acquire that fails', async (world) => {
  const { locks, redis } = world
  const [first, second] = [await ask(locks.acquire, 'a'), await ask(locks.acquire, 'b')]
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    const [acquired, ...others] = await Promise.allSettled([
      ask(locks.acquire, 'c'),
      ask(first.extend, 5000),
      ask(second.release),
    ])

    assert.equal(tell(acquired.reason), 'refused by Redis: OOM')
    assert.deepEqual(
      others.map(({ value }) => value),
      [true, true],
    )
    assert.deepEqual(await redis.command('KEYS', 'lock:*'), ['lock:a'])
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
})

each('out of memory an acquire of a taken lock is still answered false', async (world) => {
  const { locks, distLock, client, redis } = world
  await ask(locks.acquire, 'a')
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    assert.equal(await ask(distLock(client, { maxRetries: 0 }).acquire, 'a'), false)
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
})

same(
  'what a replica that is read-only refuses is an error',
  async ({ t, locks, redis, distLock, open }) => {
    const replica = await startRedis(t, { replicaOf: redis })
    const { id } = await ask(locks.acquire, 'a', 'me')
    await replicated(replica, 'lock:a')
    const reading = distLock(open({ port: replica.port }), { maxRetries: 0 })

    const calls = [
      await seen((callback) => reading.acquire('b', callback)),
      await seen((callback) => reading.acquire('a', callback)),
      await seen((callback) => reading.getAcquiredLock('a', callback)),
      await seen((callback) => reading.releaseLock('a', id, callback)),
      await seen((callback) => reading.extendLock('a', id, 1000, callback)),
      await seen((callback) => reading.releaseLock('a', 'another', callback)),
    ]

    const refused = ['refused by Redis: READONLY']
    const { args } = calls[2].calls[0]
    assert.deepEqual(
      calls.map((call) => call.calls[0].args),
      [refused, [null, false], args, refused, refused, [null, false]],
    )
    return calls
  },
  ONE,
)

async function replicated(replica, key) {
  while ((await replica.command('EXISTS', key).catch(() => 0)) === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

each(
  'calls during CLIENT PAUSE are answered after it',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')
    await redis.command('CLIENT', 'PAUSE', '100')

    const [extended, other, found, released] = await Promise.all([
      ask(lock.extend, 5000),
      ask(locks.acquire, 'b'),
      ask(locks.getAcquiredLock, 'a'),
      ask(lock.release),
    ])

    assert.equal(extended, true)
    assert.equal(other.key, 'lock:b')
    assert.equal(found.id, lock.id)
    assert.equal(released, true)
  },
  ONE,
)

each(
  'a waiter survives CLIENT PAUSE',
  async (world) => {
    const { waiting } = await startWaiting(world)

    await world.redis.command('CLIENT', 'PAUSE', '100')
    await world.redis.command('DEL', 'lock:a')

    assert.equal((await waiting).key, 'lock:a')
  },
  ONE,
)

// Version 2 told whoever called before its client noticed that the connection was broken.
differs('a waiter survives that its connection is killed', async (world) => {
  const { waiting } = await startWaiting(world)

  await world.redis.command('CLIENT', 'KILL', 'TYPE', 'normal')
  await world.redis.command('DEL', 'lock:a')

  assert.equal((await waiting).key, 'lock:a')
})

differs('a waiter survives a restart', async (world) => {
  const { waiting } = await startWaiting(world)

  await world.redis.restart()

  assert.equal((await waiting).key, 'lock:a')
})

differs(
  'calls go on at once when the connection was killed',
  async ({ locks, redis }) => {
    await lockAndUnlock(locks, 'a')
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal')

    await lockAndUnlock(locks, 'a')
  },
  ONE,
)

differs(
  'calls under way when the connection is killed are answered',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')

    for (let round = 0; round < 10; round++) {
      const [, extended, acquired, found] = await Promise.all([
        redis.command('CLIENT', 'KILL', 'TYPE', 'normal'),
        ask(lock.extend, 30000),
        ask(locks.acquire, `b${round}`),
        ask(locks.getAcquiredLock, 'a'),
      ])

      assert.equal(extended, true)
      assert.equal(acquired.key, `lock:b${round}`)
      assert.equal(found.id, lock.id)
    }
  },
  ONE,
)

differs(
  'calls made while the server restarts are answered by the new one',
  async (world) => {
    const { locks, redis } = world
    const lock = await ask(locks.acquire, 'a')
    await redis.stop()

    const pending = Promise.all([
      ask(locks.acquire, 'a'),
      ask(lock.extend, 1000),
      ask(locks.getAcquiredLock, 'b'),
    ])
    await redis.start()

    const [acquired, extended, found] = await pending
    assert.equal(acquired.key, 'lock:a')
    assert.equal(extended, false)
    assert.equal(found, null)
  },
  ONE,
)

each('it goes on after a restart', async ({ locks, redis, client, kind }) => {
  await lockAndUnlock(locks, 'a')

  const again = new Promise((resolve) => client.once('ready', resolve))
  await redis.restart()
  await again
  await kind.command(client, 'ping')

  await lockAndUnlock(locks, 'a')
})
