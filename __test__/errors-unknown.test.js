'use strict'

// Promises 5 and 12 of docs/promises.md: a call whose reply was lost is safe to
// retry, and one that failed has locked nobody out.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const distLock = require('../index.js')
const { assertLockError, eventually, failure } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

const LIMITS = { connectTimeout: 1000, commandTimeout: 500, retryDelay: 20 }

/** A server behind a proxy, and a manager that is connected through it. */
async function setUp(t, options) {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { ...LIMITS, ...options })
  await locks.getAcquiredLock('before')
  return { redis, proxy, locks }
}

/** Loses the next reply and breaks the connection, as soon as the server has sent it. */
async function loseNextReply(proxy) {
  proxy.mode = 'swallow replies'
  await once(proxy, 'reply')
  proxy.mode = 'pass'
  proxy.hangUp()
}

const isFree = (redis) => async () => (await redis.command('EXISTS', 'lock:a')) === 0

/** The ids under which `lock:a` was written, as MONITOR saw it, in order. */
async function grants(monitor) {
  const writes = (await monitor.lines()).filter((line) => /lua\] "HM?SET" "lock:a"/i.test(line))
  return writes.map((line) => /"(c[a-z0-9]{24})"/.exec(line)[1])
}

test('a lock granted to a call that timed out is released, though no reply ever comes', async (t) => {
  // The connection is not given up before.
  const { redis, proxy, locks } = await setUp(t, { commandTimeout: 5000 })
  const monitor = await redis.monitor()
  proxy.mode = 'swallow replies'

  const error = await failure(locks.acquire('a', { timeout: 800 }), 800)

  assertLockError(error, { code: 'ERR_LOCK_UNKNOWN', cause: 'ETIMEDOUT', resource: 'a' })
  assert.equal((await grants(monitor)).length, 1, 'nothing was granted, so nothing was tested')
  await eventually(isFree(redis), 'released')
})

test('a lock granted to a call that failed is released once Redis can be reached again', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const lost = loseNextReply(proxy)
  const acquired = locks.acquire('a', { timeout: 800 })
  await lost
  proxy.mode = 'blackhole'
  await failure(acquired, 800)
  assert.ok(await redis.command('EXISTS', 'lock:a'), 'nothing was granted, so nothing was tested')

  proxy.mode = 'pass'

  await eventually(isFree(redis), 'released')
})

test('a lock granted after its call has failed is released', async (t) => {
  const { redis, locks } = await setUp(t, { commandTimeout: 5000 })
  const monitor = await redis.monitor()
  await redis.pause()
  await failure(locks.acquire('a', { timeout: 700 }), 700)

  redis.resume()

  await eventually(async () => (await grants(monitor)).length > 0, 'granted')
  await eventually(isFree(redis), 'released')
})

test('an acquire that reaches Redis after its release found nothing is released as well', async (t) => {
  const { redis, proxy, locks } = await setUp(t, { commandTimeout: 600 })
  const monitor = await redis.monitor()
  let pass
  proxy.delay.request = new Promise((resolve) => (pass = resolve))
  const acquired = locks.acquire('a', { timeout: 700 })
  await once(proxy, 'request')
  proxy.delay.request = 0
  proxy.refuse()
  await failure(acquired, 700)
  await proxy.accept()
  const released = async () => (await monitor.lines()).some((line) => /"abandon"/.test(line))
  await eventually(released, 'released in vain')
  assert.deepEqual(await grants(monitor), [], 'it arrived too early to test anything')

  pass()
  await eventually(async () => (await grants(monitor)).length > 0, 'it arrived')

  await eventually(isFree(redis), 'released')
})

test('a long outage does not make the release of a lost grant wait for as long again', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const lost = loseNextReply(proxy)
  const acquired = locks.acquire('a', { timeout: 800 })
  await lost
  proxy.mode = 'hang up'
  await failure(acquired, 800)
  const before = proxy.connections
  await eventually(() => proxy.connections > before + 6, 'some tries to release')
  assert.ok(await redis.command('EXISTS', 'lock:a'), 'nothing was granted, so nothing was tested')

  proxy.mode = 'pass'

  await eventually(isFree(redis), 'released', 3000)
})

test('a call that failed locks nobody out', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  proxy.mode = 'swallow replies'
  await failure(locks.acquire('a', { timeout: 800 }), 800)
  proxy.mode = 'pass'

  const lock = await distLock(redis.url).acquire('a', { timeout: 10000 })

  assert.ok(lock, 'somebody else could not acquire')
})

test('an acquire whose reply was lost succeeds by its next try, under the same id', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const monitor = await redis.monitor()
  const lost = loseNextReply(proxy)

  const lock = await locks.acquire('a', { timeout: 10000 })
  await lost

  assert.ok(lock, 'it was locked out by itself')
  assert.deepEqual(await grants(monitor), [lock.id])
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id)
  assert.ok((await redis.command('PTTL', 'lock:a')) > 29000, 'the ttl was not renewed')
})

test('an acquire that tries once only is not locked out by its lost reply', async (t) => {
  const { proxy, locks } = await setUp(t)
  const lost = loseNextReply(proxy)

  const lock = await locks.acquire('a', { maxRetries: 0 })
  await lost

  assert.equal(await lock.release(), true)
})

test('each of many acquires whose replies were lost together gets its lock, once', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const lost = loseNextReply(proxy)

  const calls = Array.from({ length: 100 }, (_, at) => locks.acquire(`a${at}`, { timeout: 10000 }))
  const acquired = await Promise.all(calls)
  await lost

  for (const [at, lock] of acquired.entries()) {
    assert.equal(await redis.command('HGET', `lock:a${at}`, 'id'), lock.id)
  }
})

test('a release whose reply was lost has released and never says `false`', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const lock = await locks.acquire('a')
  const lost = loseNextReply(proxy)

  const [outcome] = await Promise.allSettled([lock.release()])
  await lost

  if (outcome.status === 'fulfilled') assert.equal(outcome.value, true)
  else assert.equal(outcome.reason.code, 'ERR_LOCK_UNKNOWN')
  assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
})

test('a release whose reply was lost does not touch the next holder', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const lock = await locks.acquire('a')
  const lost = loseNextReply(proxy)

  const released = lock.release().catch(() => {})
  await lost
  const next = await distLock(redis.url).acquire('a', { timeout: 10000 })
  await released

  assert.equal(await redis.command('HGET', 'lock:a', 'id'), next.id)
})

test('an extend whose reply was lost extends and says so', async (t) => {
  const { redis, proxy, locks } = await setUp(t)
  const lock = await locks.acquire('a')
  const lost = loseNextReply(proxy)

  const extended = await lock.extend(90000)
  await lost

  assert.equal(extended, true)
  assert.ok((await redis.command('PTTL', 'lock:a')) > 80000)
})

test('a read whose reply was lost is answered by its next try', async (t) => {
  const { proxy, locks } = await setUp(t)
  const lock = await locks.acquire('a')
  const lost = loseNextReply(proxy)

  const { id } = await locks.getAcquiredLock('a')
  await lost

  assert.equal(id, lock.id)
})

test('a grant whose reply comes later than the ttl is not returned as held', async (t) => {
  const ttl = 1500
  const { redis, proxy, locks } = await setUp(t, { ttl, commandTimeout: 5000 })
  proxy.delay.reply = ttl + 100

  const acquired = locks.acquire('a')
  await once(proxy, 'reply')
  proxy.delay.reply = 0
  const lock = await acquired

  assert.ok(lock.acquireDelay >= ttl, 'the first grant was returned')
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id)
})

test('when every grant comes later than the ttl no lock is returned, and none is left', async (t) => {
  const { redis, proxy, locks } = await setUp(t, { ttl: 100, commandTimeout: 5000 })
  proxy.delay.reply = 200

  const [outcome] = await Promise.allSettled([locks.acquire('a', { timeout: 700 })])

  assert.ok(!outcome.value, 'a lock whose ttl was over was returned')
  proxy.delay.reply = 0
  await eventually(isFree(redis), 'released')
})

test('giving back a grant that came too late does not take away the next one', async (t) => {
  const ttl = 2000
  const { redis, proxy, locks } = await setUp(t, { ttl, commandTimeout: 5000 })
  // The first grant comes too late …
  proxy.delay.reply = ttl + 50
  const acquired = locks.acquire('a')
  await once(proxy, 'reply')
  proxy.delay.reply = 0
  // … and the reply to its release is lost, so that it has to be released again.
  await once(proxy, 'request')
  proxy.mode = 'swallow replies'
  await once(proxy, 'reply')
  proxy.mode = 'pass'
  proxy.hangUp()

  const lock = await acquired
  const started = performance.now()
  await eventually(async () => {
    if (performance.now() - started > ttl / 2) return true
    assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id, 'it was released')
  }, 'half of the ttl is over')
})
