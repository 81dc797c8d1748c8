'use strict'

// Functions that give credentials.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { threadId } = require('node:worker_threads')
const distLock = require('../index.js')
const { runChild } = require('./support/child.js')
const { assertLockError, failure } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

const LIMITS = { connectTimeout: 600, commandTimeout: 600 }
const ADA = { username: 'ada', password: 'secret' }

let redis
const starting = startRedis(
  { after },
  { users: { default: 'on >default ~* &* +@all', ada: 'on >secret ~* &* +@all' } },
)
before(async () => (redis = await starting))

/** Settings for `server` with other properties. */
const settings = (server, more) => ({ host: '127.0.0.1', port: server.port, ...more })

const GIVEN = {
  'credentials as a promise': { credentials: async () => ADA },
  'credentials at once': { credentials: () => ADA },
  'a password at once': { password: () => 'default' },
  'a password as a promise': { password: async () => 'default' },
  'a password of a user': { username: 'ada', password: async () => 'secret' },
}

for (const [name, more] of Object.entries(GIVEN)) {
  test(`a function may give ${name}`, async () => {
    const lock = await distLock(settings(redis, more)).acquire('a', { timeout: 5000 })

    assert.equal(await lock.release(), true)
  })
}

test('credentials are asked for when connecting: not before, not again, and anew', async (t) => {
  const proxy = await startProxy(t, redis)
  let asked = 0
  const credentials = () => {
    asked++
    return ADA
  }
  const locks = distLock(settings(proxy, { credentials }))
  assert.equal(asked, 0)

  await locks.getAcquiredLock('a')
  for (let call = 0; call < 50; call++) await locks.getAcquiredLock('a')
  assert.equal(asked, 1)

  proxy.hangUp()
  await locks.getAcquiredLock('a')
  assert.equal(asked, 2)
})

test('a token that expires is replaced when connecting again', async (t) => {
  const server = await startRedis(t, { users: { ada: 'on >first ~* &* +@all' } })
  const proxy = await startProxy(t, server)
  let password = 'first'
  const locks = distLock(settings(proxy, { username: 'ada', password: () => password }))
  await locks.getAcquiredLock('a')

  password = 'second'
  await server.command('ACL', 'SETUSER', 'ada', 'resetpass', '>second')
  proxy.hangUp()

  assert.equal(await locks.getAcquiredLock('a'), null)
})

test('credentials that Redis refuses are asked for anew, and the call goes on', async (t) => {
  const server = await startRedis(t, { users: { ada: 'on >second ~* &* +@all' } })
  let asked = 0
  const password = () => (++asked < 3 ? 'first' : 'second')
  const locks = distLock(settings(server, { username: 'ada', password }))

  assert.equal(await locks.getAcquiredLock('a'), null)
  assert.equal(asked, 3)
})

test('a password that a function gives before Redis knows it is tried until Redis does', async (t) => {
  const server = await startRedis(t, { password: 'old' })
  let asked = 0
  const password = () => {
    if (++asked === 2) server.command('CONFIG', 'SET', 'requirepass', 'new')
    return 'new'
  }
  const lock = await distLock(settings(server, { password })).acquire('a')

  assert.equal(await lock.release(), true)
})

test('credentials that stay wrong end a call at its deadline, with few tries', async () => {
  let asked = 0
  const credentials = () => {
    asked++
    return { username: 'ada', password: 'wrong' }
  }
  const locks = distLock(settings(redis, { credentials }), { connectTimeout: 1500 })

  const started = performance.now()
  const error = await failure(locks.acquire('a'), 1500)
  const elapsed = performance.now() - started
  const limited = await failure(locks.acquire('a', { timeout: 1000 }), 1000)

  for (const one of [error, limited]) {
    assertLockError(one, {
      code: 'ERR_LOCK_REDIS',
      redisCode: 'WRONGPASS',
      cause: 'WRONGPASS',
      resource: 'a',
    })
    assert.doesNotMatch(`${one.stack} ${one.cause.message}`, /wrong['" ]/)
  }
  assert.ok(elapsed >= 1490, `it gave up after ${elapsed} ms`)
  assert.ok(asked > 2 && asked < 40, `asked ${asked} times`)
})

const FAILING = {
  rejects: async () => {
    throw new Error('no token today')
  },
  throws: () => {
    throw new Error('no token today')
  },
}

for (const [how, credentials] of Object.entries(FAILING)) {
  test(`a credentials function that ${how} is a LockError that says why`, async () => {
    const locks = distLock(settings(redis, { credentials }), LIMITS)

    const error = await failure(locks.acquire('a'), LIMITS.connectTimeout)

    const cause = /no token today/
    assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', cause, resource: 'a' })
  })
}

const NONSENSE = {
  undefined: () => undefined,
  null: () => null,
  'an empty object': () => ({}),
  'a number for a password': () => ({ password: 42 }),
  'a number for a user': () => ({ username: 42, password: 'x' }),
  'a rejection with undefined': () => Promise.reject(),
  'a rejection with null': () => Promise.reject(null),
}

for (const [name, credentials] of Object.entries(NONSENSE)) {
  test(`a credentials function that gives ${name} makes a LockError, not a crash`, async () => {
    const locks = distLock(settings(redis, { credentials }), LIMITS)

    const error = await failure(locks.acquire('a'), LIMITS.connectTimeout)

    assert.ok(error instanceof distLock.LockError, String(error))
    assert.match(error.code, /^ERR_LOCK_(UNREACHABLE|REDIS)$/)
  })
}

test('a credentials function that never answers does not stop a call from ending on time', async () => {
  const credentials = () => new Promise(() => {})
  const locks = distLock(settings(redis, { credentials }), LIMITS)

  const errors = await Promise.all([
    failure(locks.acquire('a'), LIMITS.connectTimeout),
    failure(locks.acquire('b', { timeout: 100 }), 100),
    failure(locks.releaseLock('c', 'id'), LIMITS.connectTimeout),
  ])

  for (const { code } of errors) assert.equal(code, 'ERR_LOCK_UNREACHABLE')
})

test('calls succeed once a credentials function that failed gives what it should', async () => {
  let asked = 0
  const credentials = async () => {
    if (++asked < 3) throw new Error('not yet')
    return ADA
  }
  const locks = distLock(settings(redis, { credentials }))

  assert.equal(await locks.getAcquiredLock('a'), null)
  assert.equal(asked, 3)
})

test('a credentials function may itself take a lock', async () => {
  const inner = distLock('memory:credentials')
  const credentials = async () => {
    const lock = await inner.acquire('token')
    await lock.release()
    return ADA
  }

  assert.equal(await distLock(settings(redis, { credentials })).getAcquiredLock('a'), null)
})

test('a credentials function is called in the thread that gave it', async (t) => {
  const program = async ({ thread, say, port }) => {
    const start = async ({ distLock, say, port }) => {
      const { threadId } = require('node:worker_threads')
      let calledIn
      const credentials = () => {
        calledIn = threadId
        return { username: 'ada', password: 'secret' }
      }
      const locks = distLock({ host: '127.0.0.1', port, credentials })
      await locks.getAcquiredLock('a')
      say('asked in', calledIn === threadId)
    }
    const workers = [1, 2, 3].map(() => thread({ port }, start))
    for (const worker of workers) say(...(await worker.heard('asked in')))
  }

  const { said, code } = await runChild(t, { port: redis.port }, program)

  assert.equal(threadId, 0)
  assert.deepEqual([said, code], [Array(3).fill(['asked in', true]), 0])
})

test('a worker terminated while its credentials function is asked does not crash the process', async (t) => {
  const program = async ({ distLock, thread, say, port }) => {
    for (let round = 0; round < 10; round++) {
      const worker = thread({ port }, ({ distLock, say, port }) => {
        const credentials = () => {
          say('asked')
          return new Promise(() => {})
        }
        distLock({ host: '127.0.0.1', port, credentials }).acquire('a')
      })
      await worker.heard('asked')
      await worker.terminate()
    }
    const password = () => 'default'
    const locks = distLock({ host: '127.0.0.1', port, password })
    say('works', await locks.getAcquiredLock('a'))
  }

  const { said, code, signal } = await runChild(t, { port: redis.port }, program)

  assert.deepEqual([said, code, signal], [[['works', null]], 0, null])
})

test('a credentials function lives as long as a manager or a lock that needs it', async (t) => {
  const proxy = await startProxy(t, redis)
  const child = runChild(
    t,
    { port: proxy.port },
    async ({ distLock, say, port }) => {
      const acquire = () => {
        const credentials = () => ({ username: 'ada', password: 'secret' })
        return distLock({ host: '127.0.0.1', port, credentials }).acquire('lives')
      }
      const lock = await acquire()
      say('acquired')
      for (let turn = 0; turn < 20; turn++) {
        global.gc()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      say('released', await lock.release())
    },
    ['--expose-gc'],
  )
  await child.heard('acquired')

  proxy.hangUp()

  assert.deepEqual(await child.heard('released'), ['released', true])
})
