'use strict'

// The callbacks of version 2; what they throw: dropin-throwing.test.js.

const assert = require('node:assert/strict')
const { ask, bothVersions, seen } = require('./support/both.js')

const { each, same } = bothVersions()

same('acquire calls back with null and a lock', async ({ locks }) =>
  seen((callback) => locks.acquire('a', 'me', callback)),
)

same(
  'acquire of a taken lock calls back with null and false',
  async ({ locks, distLock, client }) => {
    await ask(locks.acquire, 'a')

    return seen((callback) => distLock(client, { maxRetries: 0 }).acquire('a', callback))
  },
)

same('getAcquiredLock calls back with null and a lock', async ({ locks }) => {
  await ask(locks.acquire, 'a', 'me')

  return seen((callback) => locks.getAcquiredLock('a', callback))
})

same('getAcquiredLock of a free resource calls back with null and null', async ({ locks }) =>
  seen((callback) => locks.getAcquiredLock('a', callback)),
)

same('releaseLock calls back with null and true', async ({ locks }) => {
  const { id } = await ask(locks.acquire, 'a')

  return seen((callback) => locks.releaseLock('a', id, callback))
})

same('extendLock calls back with null and true', async ({ locks }) => {
  const { id } = await ask(locks.acquire, 'a')

  return seen((callback) => locks.extendLock('a', id, 1000, callback))
})

same(
  'releaseLock and extendLock call back with null and false for another id',
  async ({ locks }) => {
    const { id } = await ask(locks.acquire, 'a')

    return [
      await seen((callback) => locks.releaseLock('a', `${id}x`, callback)),
      await seen((callback) => locks.extendLock('a', `${id}x`, 1000, callback)),
      await seen((callback) => locks.releaseLock('free', id, callback)),
      await seen((callback) => locks.extendLock('free', id, 1000, callback)),
    ]
  },
)

same("a lock's release and extend call back like the manager's", async ({ locks }) => {
  const lock = await ask(locks.acquire, 'a')

  return [
    await seen((callback) => lock.extend(1000, callback)),
    await seen((callback) => lock.release(callback)),
    await seen((callback) => lock.release(callback)),
    await seen((callback) => lock.extend(1000, callback)),
  ]
})

same('an error of Redis is the only argument', async ({ locks, redis }) => {
  await redis.command('SET', 'lock:a', 'no hash')

  return [
    await seen((callback) => locks.getAcquiredLock('a', callback)),
    await seen((callback) => locks.releaseLock('a', 'id', callback)),
    await seen((callback) => locks.extendLock('a', 'id', 1000, callback)),
  ]
})

same('an error of Redis is the only argument of an acquire', async ({ locks, redis }) => {
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    return await seen((callback) => locks.acquire('a', callback))
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
})

each('a callback is called exactly once, however many calls there are', async ({ locks }) => {
  const calls = await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      seen((callback) => locks.acquire(`a${index}`, callback)),
    ),
  )

  for (const { calls: called } of calls) assert.equal(called.length, 1)
})

each('a callback may call the lock again at once', async ({ locks }) => {
  const words = await new Promise((resolve, reject) => {
    const told = []
    locks.acquire('a', (error, lock) => {
      if (error) return reject(error)
      told.push('acquired')
      lock.extend(1000, (error, extended) => {
        if (error) return reject(error)
        told.push(extended)
        lock.release((error, released) => {
          if (error) return reject(error)
          told.push(released)
          locks.acquire('a', (error, again) => resolve([...told, again.acquiredOnAttempt]))
        })
      })
    })
  })

  assert.deepEqual(words, ['acquired', true, true, 1])
})
