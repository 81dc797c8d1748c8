'use strict'

// Redis says no, ERR_LOCK_REDIS, with `redisCode`; and yes again once the reason is gone.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { test } = require('node:test')
const distLock = require('../index.js')
const { CALLS, assertLockError, eventually, failure } = require('./support/outcome.js')
const { freePort, startRedis } = require('./support/redis.js')

const LIMITS = { connectTimeout: 1500, commandTimeout: 1000 }
const PORTLESS = 'redis://127.0.0.1'

/** Each: how the server is started, what the URL is, what is said, and how the reason goes away. */
const REFUSALS = [
  {
    name: 'a wrong password',
    server: { password: 'right' },
    url: ({ port }) => `redis://:wrong@127.0.0.1:${port}`,
    redisCode: 'WRONGPASS',
    mend: (redis) => redis.command('CONFIG', 'SET', 'requirepass', 'wrong'),
  },
  {
    name: 'a user who does not exist',
    server: {},
    url: ({ port }) => `redis://nobody:wrong@127.0.0.1:${port}`,
    redisCode: 'WRONGPASS',
    mend: (redis) => redis.command('ACL', 'SETUSER', 'nobody', 'on', '>wrong', '~*', '+@all'),
  },
  {
    name: 'no password where one is needed',
    server: { password: 'right' },
    url: ({ port }) => `${PORTLESS}:${port}`,
    redisCode: 'NOAUTH',
    mend: (redis) => redis.command('CONFIG', 'SET', 'requirepass', ''),
  },
  {
    name: 'no password where the default user is off',
    server: { users: { default: 'off' } },
    url: ({ port }) => `${PORTLESS}:${port}`,
    redisCode: 'NOAUTH',
    mend: (redis) => redis.command('ACL', 'SETUSER', 'default', 'on', 'nopass', 'allkeys', '+@all'),
  },
  {
    name: 'a user who was turned off',
    server: { users: { ada: 'off >secret ~* &* +@all' } },
    url: ({ port }) => `redis://ada:secret@127.0.0.1:${port}`,
    redisCode: 'WRONGPASS',
    mend: (redis) => redis.command('ACL', 'SETUSER', 'ada', 'on'),
  },
  {
    name: 'a user who may not run scripts',
    server: { users: { ada: 'on >secret ~* &* +@all -@scripting -hmget' } },
    url: ({ port }) => `redis://ada:secret@127.0.0.1:${port}`,
    redisCode: 'NOPERM',
    mend: (redis) => redis.command('ACL', 'SETUSER', 'ada', '+@all'),
  },
  {
    name: 'a user who may not use these keys',
    server: { users: { ada: 'on >secret ~other:* &* +@all' } },
    url: ({ port }) => `redis://ada:secret@127.0.0.1:${port}`,
    redisCode: 'NOPERM',
    mend: (redis) => redis.command('ACL', 'SETUSER', 'ada', 'allkeys'),
  },
  {
    name: 'a database that does not exist',
    server: {},
    url: ({ port }) => `${PORTLESS}:${port}/99`,
    redisCode: 'ERR',
  },
]

for (const { name, server, url, redisCode, mend } of REFUSALS) {
  test(`${name}: each call fails at once and says ${redisCode}`, async (t) => {
    const locks = distLock(url(await startRedis(t, server)))

    const errors = await Promise.all(CALLS.map(({ start }) => failure(start(locks), 500)))

    for (const [at, { resource }] of CALLS.entries()) {
      const code = 'ERR_LOCK_REDIS'
      assertLockError(errors[at], { code, redisCode, cause: redisCode, resource })
    }
  })

  if (!mend) continue

  test(`${name}: calls succeed as soon as it is mended`, async (t) => {
    const redis = await startRedis(t, server)
    const locks = distLock(url(redis))
    await failure(locks.acquire('a'), 500)

    await mend(redis)

    const lock = await locks.acquire('a')
    assert.equal((await locks.getAcquiredLock('a')).id, lock.id)
    assert.equal(await lock.release(), true)
  })
}

for (const login of ['', 'default:secret@']) {
  const how = login ? 'with a password' : 'without a password'

  test(`protected mode is said at once, ${how}`, async (t) => {
    // A server in that mode answers whoever comes from another host like this.
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.end('-DENIED Redis is running in protected mode because no password is set.\r\n')
    })
    t.after(() => server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const locks = distLock(`redis://${login}127.0.0.1:${server.address().port}`)

    const error = await failure(locks.acquire('a'), 500)

    const details = { redisCode: 'DENIED', cause: 'DENIED', resource: 'a' }
    assertLockError(error, { code: 'ERR_LOCK_REDIS', ...details })
  })

  test(`a server with too many clients is waited for, ${how}, and is named`, async (t) => {
    const server = await startRedis(t, { users: { default: 'on nopass ~* &* +@all' } })
    await server.command('CONFIG', 'SET', 'maxclients', 1)
    const url = `redis://${login}127.0.0.1:${server.port}`

    const error = await failure(distLock(url, LIMITS).acquire('a'), LIMITS.connectTimeout)
    const waiting = distLock(url).acquire('b')
    await server.command('CONFIG', 'SET', 'maxclients', 100)

    // What Redis says may be cut off by its hanging up.
    const cause = /max number of clients|hung up|reset|broken pipe/i
    assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', cause, resource: 'a' })
    assert.equal(await (await waiting).release(), true)
  })
}

test('a refusal of one key does not reach calls for other keys of the same tick', async (t) => {
  const redis = await startRedis(t, { users: { ada: 'on >secret ~lock:* &* +@all' } })
  const url = `redis://ada:secret@127.0.0.1:${redis.port}`
  const allowed = distLock(url, LIMITS)
  const forbidden = distLock(url, { ...LIMITS, keyPrefix: 'other:' })
  await allowed.getAcquiredLock('before')

  const [before, refused, after] = await Promise.allSettled([
    allowed.acquire('a'),
    forbidden.acquire('b'),
    allowed.acquire('c'),
  ])

  assert.equal(refused.reason?.redisCode, 'NOPERM')
  assert.equal(before.reason, undefined)
  assert.equal(after.reason, undefined)
})

test('a primary that becomes a replica refuses to write, and is asked again once it is a primary', async (t) => {
  const redis = await startRedis(t)
  const locks = distLock(redis.url, LIMITS)
  const [released, extended] = await Promise.all([locks.acquire('r'), locks.acquire('e')])
  await redis.command('REPLICAOF', '127.0.0.1', await freePort())

  const refused = { acquire: locks.acquire('a'), r: released.release(), e: extended.extend(60000) }
  for (const [resource, call] of Object.entries(refused)) {
    assertLockError(await failure(call, 500), {
      code: 'ERR_LOCK_REDIS',
      redisCode: 'READONLY',
      cause: 'READONLY',
      resource: resource === 'acquire' ? 'a' : resource,
    })
  }
  await redis.command('REPLICAOF', 'NO', 'ONE')

  assert.equal(await released.release(), true)
  assert.equal(await extended.extend(60000), true)
  assert.equal((await locks.acquire('a')).owner, '')
})

test('a read-only replica lets look, and refuses the rest at once, saying READONLY', async (t) => {
  const primary = await startRedis(t, { args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startRedis(t, { replicaOf: primary })
  const isInStep = async () => /master_link_status:up/.test(await replica.command('INFO'))
  await eventually(isInStep, 'in step with its primary')
  const lock = await distLock(primary.url).acquire('held')
  const locks = distLock(replica.url, LIMITS)

  for (const call of [locks.acquire('a'), locks.acquire('a', { timeout: 0 })]) {
    const details = { redisCode: 'READONLY', cause: 'READONLY', resource: 'a' }
    assertLockError(await failure(call, 500), { code: 'ERR_LOCK_REDIS', ...details })
  }
  const seen = async () => (await locks.getAcquiredLock('held'))?.id === lock.id
  await eventually(seen, 'the lock in the replica')
  const release = locks.releaseLock('held', lock.id)
  assert.equal((await failure(release, 500)).redisCode, 'READONLY')

  assert.equal(await lock.release(), true)
})

test('a server that is out of memory refuses to lock, and still lets go', async (t) => {
  const redis = await startRedis(t)
  const locks = distLock(redis.url, LIMITS)
  const lock = await locks.acquire('held')
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')

  const error = await failure(locks.acquire('a'), 500)

  assertLockError(error, {
    code: 'ERR_LOCK_REDIS',
    redisCode: 'OOM',
    cause: 'OOM',
    resource: 'a',
  })
  assert.equal(await lock.release(), true)
  assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
})

test('a busy server says BUSY and works again', async (t) => {
  const redis = await startRedis(t)
  await redis.command('CONFIG', 'SET', 'busy-reply-threshold', '1')
  const locks = distLock(redis.url, { connectTimeout: 1000, commandTimeout: 5000 })
  await locks.getAcquiredLock('before')
  const other = await redis.connect()
  const looping = other.command('EVAL', 'while true do end', 0).catch(() => {})
  await eventually(() => says(redis, /BUSY/), 'busy')

  const outcome = locks.acquire('a', { timeout: 2000 })
  const error = await failure(outcome, 2000)
  await redis.command('SCRIPT', 'KILL')
  await looping
  other.close()

  assert.equal(error.code, 'ERR_LOCK_REDIS')
  assert.equal(error.redisCode, 'BUSY')
  assert.equal((await locks.acquire('a')).owner, '')
})

/** Makes the server load its data, for some seconds, and waits until it does. */
async function startLoading(redis, seconds) {
  await redis.command('CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024')
  const fill = 'for i = 1, 4000 do redis.call("SET", "filler" .. i, string.rep("x", 200)) end'
  await redis.command('EVAL', fill, 0)
  await redis.command('CONFIG', 'SET', 'key-load-delay', (seconds * 1e6) / 4000)
  const own = await redis.connect()
  const over = own.command('DEBUG', 'RELOAD').finally(() => own.close())
  await eventually(() => says(redis, /LOADING/), 'loading')
  return { over }
}

/** Whether the server answers with such an error. */
function says(redis, pattern) {
  const answered = redis.command('GET', 'x')
  return answered.then(
    () => false,
    (error) => pattern.test(error.message),
  )
}

const LOADABLE = { args: ['--enable-debug-command', 'yes'] }

test('a server that loads its data for too long is ERR_LOCK_REDIS with LOADING', async (t) => {
  const redis = await startRedis(t, LOADABLE)
  const locks = distLock(redis.url, { connectTimeout: 1000, commandTimeout: 5000 })
  await locks.getAcquiredLock('before')
  const loading = await startLoading(redis, 4)

  const errors = await Promise.all(CALLS.map(({ start }) => failure(start(locks), 1000)))

  for (const error of errors) {
    assert.deepEqual([error.code, error.redisCode], ['ERR_LOCK_REDIS', 'LOADING'])
  }
  await loading.over
})

test('a call waits for a server that loads its data, new connection or not', async (t) => {
  const redis = await startRedis(t, LOADABLE)
  const connected = distLock(redis.url)
  const held = await connected.acquire('held')
  await startLoading(redis, 0.8)

  const unconnected = distLock(redis.url, { commandTimeout: 4000 })
  const [lock, released] = await Promise.all([unconnected.acquire('a'), held.release()])

  assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id)
  assert.equal(released, true)
})
