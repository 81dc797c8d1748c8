'use strict'

// Calls after and while the program closes its client.

const assert = require('node:assert/strict')
const { ask, bothVersions, seen } = require('./support/both.js')

const { each, differs } = bothVersions()

const CLOSERS = ['quit', 'end']

for (const closer of CLOSERS) {
  each(
    `after ${closer}() every call tells its callback of an error, soon and once`,
    async ({ locks, client, kind }) => {
      const lock = await ask(locks.acquire, 'a')
      kind.closers[closer](client)

      const started = performance.now()
      const calls = [
        await seen((callback) => locks.acquire('b', callback)),
        await seen((callback) => locks.getAcquiredLock('a', callback)),
        await seen((callback) => locks.releaseLock('a', lock.id, callback)),
        await seen((callback) => locks.extendLock('a', lock.id, 1000, callback)),
        await seen((callback) => lock.release(callback)),
        await seen((callback) => lock.extend(1000, callback)),
      ]

      assert.ok(performance.now() - started < 5000)
      for (const { calls: called, returned } of calls) {
        assert.equal(returned, undefined)
        assert.equal(called.length, 1)
        const [{ args, sync }] = called
        assert.deepEqual([args.length, sync], [1, false])
        assert.match(args[0], /Error: /)
      }
    },
    // On 0.12 version 2 never called back, and with ioredis 5 it wrote to the closed socket.
    { kinds: ['redis-3.1'] },
  )

  differs(
    `after ${closer}() every call fails with ERR_LOCK_CLOSED`,
    async ({ locks, client, kind }) => {
      const lock = await ask(locks.acquire, 'a')

      kind.closers[closer](client)

      const closed = { name: 'LockError', code: 'ERR_LOCK_CLOSED' }
      await assert.rejects(locks.acquire('b'), closed)
      await assert.rejects(locks.getAcquiredLock('a'), closed)
      await assert.rejects(locks.releaseLock('a', lock.id), closed)
      await assert.rejects(locks.extendLock('a', lock.id, 1000), closed)
      await assert.rejects(lock.release(), closed)
      await assert.rejects(ask(lock.extend, 1000), closed)
    },
  )

  differs(`nothing is done in Redis after ${closer}()`, async ({ locks, client, kind, redis }) => {
    await ask(locks.acquire, 'a')
    kind.closers[closer](client)

    await assert.rejects(locks.acquire('b'))

    assert.deepEqual(await redis.lockKeys(), ['lock:a'])
  })

  differs(`${closer}() ends those who wait for a lock`, async ({ locks, client, kind }) => {
    const { id } = await ask(locks.acquire, 'a')
    const waiting = [1, 2, 3].map(() => ask(locks.acquire, 'a'))
    await ask(locks.extendLock, 'a', id, 30000)

    kind.closers[closer](client)

    for (const { reason } of await Promise.allSettled(waiting)) {
      assert.equal(reason.code, 'ERR_LOCK_CLOSED')
    }
  })

  differs(
    `${closer}() ends calls that Redis does not answer`,
    async ({ locks, client, kind, redis }) => {
      const { id } = await ask(locks.acquire, 'a')
      await redis.pause()
      try {
        const pending = [
          ask(locks.acquire, 'b'),
          ask(locks.getAcquiredLock, 'a'),
          ask(locks.releaseLock, 'a', id),
          ask(locks.extendLock, 'a', id, 1000),
        ]
        // A client that asks Redis to let it go is not answered either.
        kind.closers[closer](client)?.catch?.(() => {})

        for (const { status, reason } of await Promise.allSettled(pending)) {
          assert.equal(status, 'rejected')
          assert.equal(reason.code, 'ERR_LOCK_CLOSED')
        }
      } finally {
        redis.resume()
      }
    },
  )
}

differs('a waiter that was ended by quit() holds nothing later', async (world) => {
  const { locks, client, redis, distLock, open } = world
  const lock = await ask(distLock(open()).acquire, 'a')
  const waiting = ask(locks.acquire, 'a')
  await ask(locks.getAcquiredLock, 'a')

  client.quit()
  await assert.rejects(waiting)
  await ask(lock.release)

  assert.deepEqual(await redis.command('KEYS', 'lock:*'), [])
})

differs(
  'other managers go on when one client is closed',
  async ({ locks, distLock, client, open }) => {
    const others = distLock(open())
    await Promise.all([ask(locks.acquire, 'a'), ask(others.acquire, 'b')])

    client.quit()
    await assert.rejects(locks.getAcquiredLock('b'))

    assert.equal((await ask(others.getAcquiredLock, 'b')).key, 'lock:b')
  },
)
