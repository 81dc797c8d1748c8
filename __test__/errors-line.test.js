'use strict'

// Callers that wait for one resource are told the truth, whoever of them asks:
// being taken is an answer, never an error; an error is never turned into `false`.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const distLock = require('../index.js')
const { eventually, failure } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

const SOURCES = { redis: () => redis.url, 'memory:': () => 'memory:' }
/** Shorter than the time to the next question, and long enough for an answer under load. */
const TIMES = [0, 1500, 2000]
const retryDelay = 20000

for (const [name, source] of Object.entries(SOURCES)) {
  test(`${name}: who comes late and has little time is told that the lock is taken`, async (t) => {
    const locks = distLock(source(), { retryDelay })
    const held = await locks.acquire('late')
    const controller = new AbortController()
    const first = locks.acquire('late', { signal: controller.signal }).catch(() => {})
    t.after(() => controller.abort())
    // Now the first has asked, and will not ask again for a while.
    await locks.getAcquiredLock('a round trip')

    const late = TIMES.flatMap((timeout) => [
      locks.acquire('late', { timeout }),
      locks.acquire('late', { maxRetries: 0 }),
      locks.acquire('late', { maxRetries: 1, retryDelay: timeout || 1 }),
    ])
    for (const answer of await Promise.all(late)) assert.equal(answer, false)
    controller.abort()
    await Promise.all([first, held.release()])
  })

  test(`${name}: each of many callers whose time is short is told that the lock is taken`, async () => {
    const locks = distLock(source(), { retryDelay })
    const held = await locks.acquire('short')

    const calls = Array.from({ length: 500 }, (_, at) => {
      return locks.acquire('short', { timeout: TIMES[1] + (at % 40) })
    })

    for (const answer of await Promise.all(calls)) assert.equal(answer, false)
    await held.release()
  })
}

test('memory: always answers, however little the time', async () => {
  const locks = distLock('memory:', { retryDelay: 200 })
  const held = await locks.acquire('little')

  const calls = Array.from({ length: 500 }, (_, at) => {
    return locks.acquire('little', { timeout: 1 + (at % 40) })
  })

  for (const answer of await Promise.all(calls)) assert.equal(answer, false)
  await held.release()
})

test('who waits in line fails as the first does when Redis goes away', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { commandTimeout: 200, connectTimeout: 5000 })
  await redis.command('HSET', 'lock:gone', 'id', 'another', 'owner', '')
  const calls = Array.from({ length: 5 }, () => locks.acquire('gone', { timeout: 800 }))
  await locks.getAcquiredLock('a round trip')

  proxy.refuse()
  proxy.hangUp()

  const errors = await Promise.all(calls.map((call) => failure(call, 800)))
  for (const { code } of errors) assert.match(code, /^ERR_LOCK_(UNREACHABLE|UNKNOWN)$/)
})

test('an outage that is over in time is not told to anybody in line', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { commandTimeout: 200, retryDelay: 20 })
  const held = await distLock(redis.url).acquire('over')
  const calls = Array.from({ length: 10 }, () => locks.acquire('over'))
  await locks.getAcquiredLock('a round trip')
  proxy.mode = 'hang up'
  proxy.hangUp()
  await eventually(() => proxy.connections >= 3, 'tries to connect')

  proxy.mode = 'pass'
  await held.release()

  const released = calls.map(async (call) => (await call).release())
  for (const answer of await Promise.all(released)) assert.equal(answer, true)
})

test('the first of a line that runs out of time during an outage does not end the others', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { commandTimeout: 200, connectTimeout: 20000 })
  proxy.mode = 'hang up'
  const first = locks.acquire('others', { timeout: 200 })
  const second = locks.acquire('others', { timeout: 15000 })
  await failure(first, 200)

  proxy.mode = 'pass'

  assert.equal(await (await second).release(), true)
})
