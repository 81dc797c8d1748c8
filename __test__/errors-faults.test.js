'use strict'

// What each call says to each way in which Redis can fail, by when it says
// so, and that nobody has to do anything once the failure is over.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { describe, test } = require('node:test')
const distLock = require('../index.js')
const { CALLS, assertLockError, eventually, failure } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { freePort, startRedis } = require('./support/redis.js')

const LIMITS = { connectTimeout: 800, commandTimeout: 500 }
/** A command that is not answered, then no connection. */
const LONGEST = LIMITS.connectTimeout + LIMITS.commandTimeout

/**
 * Each is given a server, a proxy in front of it and a manager that goes through the proxy, breaks
 * something, and returns how to mend it. `used`: the manager was connected before.
 */
const FAULTS = [
  {
    name: 'a server that is down from the start',
    code: 'ERR_LOCK_UNREACHABLE',
    cause: 'ECONNREFUSED',
    happens({ proxy }) {
      proxy.refuse()
      proxy.hangUp()
      return () => proxy.accept()
    },
  },
  {
    name: 'a server that went down between two calls',
    used: true,
    code: 'ERR_LOCK_UNREACHABLE',
    cause: 'ECONNREFUSED',
    happens({ proxy }) {
      proxy.refuse()
      proxy.hangUp()
      return () => proxy.accept()
    },
  },
  {
    name: 'a server that hangs up on everybody',
    code: 'ERR_LOCK_UNREACHABLE',
    cause: 'ECONNRESET',
    happens({ proxy }) {
      proxy.mode = 'hang up'
      return () => (proxy.mode = 'pass')
    },
  },
  {
    name: 'a server that accepts and never says a word',
    swallows: true,
    code: 'ERR_LOCK_UNREACHABLE',
    cause: 'ETIMEDOUT',
    happens({ proxy }) {
      proxy.mode = 'blackhole'
      return () => (proxy.mode = 'pass')
    },
  },
  {
    name: 'a server that hangs from the start',
    code: 'ERR_LOCK_UNREACHABLE',
    cause: 'ETIMEDOUT',
    async happens({ redis }) {
      await redis.pause()
      return () => redis.resume()
    },
  },
  {
    name: 'a server that hangs while it is asked',
    used: true,
    code: 'ERR_LOCK_UNKNOWN',
    cause: 'ETIMEDOUT',
    async happens({ redis }) {
      await redis.pause()
      return () => redis.resume()
    },
  },
  {
    name: 'a server whose replies are lost',
    swallows: true,
    used: true,
    code: 'ERR_LOCK_UNKNOWN',
    cause: 'ETIMEDOUT',
    happens({ proxy }) {
      proxy.mode = 'swallow replies'
      return () => (proxy.mode = 'pass')
    },
  },
  {
    name: 'a server that went away without a word and refuses new connections',
    used: true,
    code: 'ERR_LOCK_UNKNOWN',
    cause: 'ETIMEDOUT',
    happens({ proxy }) {
      proxy.halfOpen()
      proxy.refuse()
      return () => proxy.accept()
    },
  },
]

async function setUp(t, fault) {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { ...LIMITS, retryDelay: 20 })
  if (fault.used) assert.equal(await locks.getAcquiredLock('before'), null)
  const mend = await fault.happens({ redis, proxy })
  return { redis, proxy, locks, mend }
}

for (const fault of FAULTS) {
  const { code, cause } = fault

  describe(fault.name, { concurrency: true }, () => {
    test(`${fault.name}: each call fails by its deadline and says why`, async (t) => {
      const { locks, mend } = await setUp(t, fault)

      const failures = CALLS.map(({ start }) => failure(start(locks), LONGEST))
      const errors = await Promise.all(failures)

      for (const [at, { resource }] of CALLS.entries()) {
        assertLockError(errors[at], { code, cause, resource })
      }
      await mend()
    })

    test(`${fault.name}: \`timeout\` ends an acquire on time`, async (t) => {
      const { redis, proxy, mend } = await setUp(t, fault)
      const patient = distLock(proxy.url)

      const error = await failure(patient.acquire('a', { timeout: 200 }), 200)

      assertLockError(error, { code: error.code, cause: error.cause.code, resource: 'a' })
      assert.match(error.code, /^ERR_LOCK_(UNREACHABLE|UNKNOWN)$/)
      await mend()
      await redis.command('PING')
    })

    test(`${fault.name}: maxRetries × retryDelay end an acquire on time`, async (t) => {
      const { proxy, mend } = await setUp(t, fault)
      const patient = distLock(proxy.url, { maxRetries: 4, retryDelay: 50 })

      // A reply that may be on its way is given a second.
      const error = await failure(patient.acquire('a'), 200 + 1000)

      assert.match(error.code, /^ERR_LOCK_(UNREACHABLE|UNKNOWN)$/)
      await mend()
    })

    test(`${fault.name}: everything works again by itself once it is over`, async (t) => {
      const { locks, mend } = await setUp(t, fault)
      await failure(locks.acquire('a'), LONGEST)

      await mend()

      const lock = await eventually(() => locks.acquire('b').catch(() => undefined), 'acquired')
      assert.equal((await locks.getAcquiredLock('b')).id, lock.id)
      assert.equal(await lock.extend(60000), true)
      assert.equal(await lock.release(), true)
    })

    // What a blackhole has swallowed does not come back, so that connecting takes its time there.
    if (fault.swallows) return

    test(`${fault.name}: a call that waits meanwhile succeeds once it is over`, async (t) => {
      const { redis, proxy, mend } = await setUp(t, fault)
      const patient = distLock(proxy.url, { commandTimeout: 500, connectTimeout: 30000 })
      const acquired = patient.acquire('a')
      const read = patient.getAcquiredLock('nobody')
      // Both have felt it by now: a call of their kind has failed.
      await failure(patient.acquire('c', { timeout: 600 }), 600)

      await mend()

      const { id } = await acquired
      assert.equal(await redis.command('HGET', 'lock:a', 'id'), id)
      assert.equal(await read, null)
    })
  })
}

test('a host that has no address is unreachable, and the cause names it', async () => {
  const locks = distLock('redis://no-such-host.invalid', LIMITS)

  for (const { start, resource } of CALLS) {
    const error = await failure(start(locks), LONGEST)

    const cause = /no-such-host\.invalid.*(lookup|resolve|address|ENOTFOUND)/
    assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', cause, resource })
  }
})

test('a unix socket that is not there is unreachable, with the code ENOENT', async () => {
  const locks = distLock({ path: '/nonexistent/redis.sock' }, LIMITS)

  const error = await failure(locks.acquire('a'), LONGEST)

  assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', cause: 'ENOENT', resource: 'a' })
})

test('a server killed while it is asked leaves the outcome unknown, and a new one is used', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { ...LIMITS, commandTimeout: 5000 })
  await locks.getAcquiredLock('before')
  await redis.pause()
  const failures = CALLS.map(({ start }) => failure(start(locks), LIMITS.connectTimeout))
  await once(proxy, 'request')

  await redis.stop()
  const errors = await Promise.all(failures)
  await redis.start()

  for (const [at, { resource }] of CALLS.entries()) {
    assertLockError(errors[at], { code: 'ERR_LOCK_UNKNOWN', cause: 'ECONNRESET', resource })
  }
  const lock = await locks.acquire('b')
  assert.equal(await redis.command('HGET', 'lock:b', 'id'), lock.id)
})

test('connectTimeout is the whole time without a connection, also where connecting hangs', async (t) => {
  const proxy = await startProxy(t, await startRedis(t))
  proxy.mode = 'blackhole'
  const connectTimeout = 1500
  const locks = distLock(proxy.url, { connectTimeout })
  const started = performance.now()

  const error = await failure(locks.acquire('a'), connectTimeout + 4000)

  assert.equal(error.code, 'ERR_LOCK_UNREACHABLE')
  const elapsed = performance.now() - started
  assert.ok(elapsed < 1.8 * connectTimeout, `it took ${elapsed} ms`)
})

test('one connection that is never answered does not use up connectTimeout', async (t) => {
  const proxy = await startProxy(t, await startRedis(t))
  proxy.mode = 'blackhole'
  const acquired = distLock(proxy.url, { connectTimeout: 8000 }).acquire('a')
  await once(proxy, 'request')

  proxy.mode = 'pass'

  const lock = await acquired
  assert.ok(lock.acquireDelay < 5000, `it took ${lock.acquireDelay} ms`)
})

test('many callers of one resource fail together, not one after the other', async () => {
  const connectTimeout = 300
  const locks = distLock(`redis://127.0.0.1:${await freePort()}`, { connectTimeout })

  const calls = Array.from({ length: 30 }, () => failure(locks.acquire('a'), connectTimeout))

  for (const { code } of await Promise.all(calls)) assert.equal(code, 'ERR_LOCK_UNREACHABLE')
})

test('thousands of callers that cannot connect fail together, not in batches', async (t) => {
  const proxy = await startProxy(t, await startRedis(t))
  proxy.mode = 'blackhole'
  const connectTimeout = 500
  const locks = distLock(proxy.url, { connectTimeout })

  const calls = Array.from({ length: 5000 }, (_, at) => {
    return failure(locks.getAcquiredLock(`a${at}`), connectTimeout)
  })

  for (const { code } of await Promise.all(calls)) assert.equal(code, 'ERR_LOCK_UNREACHABLE')
})
