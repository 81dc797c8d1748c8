'use strict'

// When an acquire stops waiting: `timeout` and `maxRetries` of one call.

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, before, beforeEach, test } = require('node:test')
const { inspect } = require('node:util')
const distLock = require('..')
const { NOISE } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')
const { time } = require('./support/turns.js')

let redis
let locks
/** Without side keys there is no queue, and every try is a command, as in version 2. */
const users = { classic: 'on >secret ~lock:* &* +@all' }
const starting = startRedis({ after }, { users })
before(async () => {
  redis = await starting
  locks = distLock(redis.url, { retryDelay: 5 })
})
beforeEach(() => redis.command('FLUSHALL'))

for (const maxRetries of [0, 1, 2, 5]) {
  test(`without a queue maxRetries: ${maxRetries} in a call tries ${maxRetries + 1} times`, async (t) => {
    const { host, port } = redis
    const classic = distLock({ host, port, username: 'classic', password: 'secret' })
    await locks.acquire('a')
    const monitor = await redis.monitor()
    t.after(() => monitor.stop())

    assert.equal(await classic.acquire('a', { maxRetries, retryDelay: 5 }), false)

    const lines = await monitor.lines()
    const asked = lines.filter((line) => / "evalsha" /i.test(line) && line.includes('"lock:a"'))
    assert.equal(asked.length, maxRetries + 1)
  })
}

test('in the queue maxRetries in a call ends when its last try would have been', async () => {
  await locks.acquire('a')

  const few = locks.acquire('a', { maxRetries: 3, retryDelay: 60 })
  const none = locks.acquire('a', { maxRetries: 0, retryDelay: 60000 })

  assert.ok((await time(none)) < 10000)
  const took = await time(few)
  assert.deepEqual(await Promise.all([few, none]), [false, false])
  assert.ok(took < 10000, `${took} ms`)
})

test('an acquire with a timeout answers false when it is over, not before', async () => {
  await locks.acquire('a')

  const waiting = locks.acquire('a', { timeout: 700 })

  const took = await time(waiting)
  assert.equal(await waiting, false)
  assert.ok(took > 690 && took < 700 + NOISE, `${took} ms`)
})

test('a timeout ends on time between two tries that are far apart', async () => {
  await locks.acquire('a')

  const waiting = locks.acquire('a', { timeout: 700, retryDelay: 60000 })

  assert.ok((await time(waiting)) < 700 + NOISE)
  assert.equal(await waiting, false)
})

test('an acquire that gets the lock in time does not wait for its timeout', async () => {
  const lock = await locks.acquire('a')
  const waiting = locks.acquire('a', { timeout: 60000 })
  await locks.getAcquiredLock('a')

  await lock.release()

  assert.ok((await time(waiting)) < 10000)
  assert.equal((await waiting).key, 'lock:a')
})

test('timeout: 0 tries once', async () => {
  const lock = await locks.acquire('a', { timeout: 0 })

  assert.equal(lock.acquiredOnAttempt, 1)
  assert.equal(await locks.acquire('a', { timeout: 0 }), false)
})

test('timeout: Infinity and undefined are no limit', async () => {
  const lock = await locks.acquire('a')
  const waiting = [Infinity, undefined].map((timeout) => locks.acquire('a', { timeout }))

  const first = await Promise.race([...waiting, sleep(100, 'still waiting')])
  await lock.release()

  assert.equal(first, 'still waiting')
  for (const waiter of waiting) await (await waiter).release()
})

test('of timeout and maxRetries the one that ends first counts', async () => {
  await locks.acquire('a')

  const byTimeout = locks.acquire('a', { timeout: 700, maxRetries: 1000, retryDelay: 1000 })
  const byTries = locks.acquire('a', { timeout: 60000, maxRetries: 2 })

  assert.ok((await time(Promise.all([byTimeout, byTries]))) < 10000)
  assert.deepEqual(await Promise.all([byTimeout, byTries]), [false, false])
})

test('each of many waiters keeps its own timeout', async () => {
  await locks.acquire('a')
  const timeouts = [1300, 900, 1100, 1500, 700]

  const ended = []
  await Promise.all(
    timeouts.map(async (timeout) => {
      assert.equal(await locks.acquire('a', { timeout }), false)
      ended.push(timeout)
    }),
  )

  assert.deepEqual(
    ended,
    timeouts.slice().sort((a, b) => a - b),
  )
})

for (const [timeout, name] of [
  ...[null, NaN, '5', '', true, {}, [], 5n].map((value) => [value, 'TypeError']),
  ...[-1, -Infinity].map((value) => [value, 'RangeError']),
]) {
  test(`timeout: ${inspect(timeout)} is a ${name}`, async () => {
    await assert.rejects(locks.acquire('a', { timeout }), {
      name,
      message: /^Expected `timeout` to be /,
    })
    assert.deepEqual(await redis.command('KEYS', '*'), [])
  })
}

test('an option that acquire does not have is a TypeError that names it', async () => {
  await assert.rejects(locks.acquire('a', { timeOut: 5 }), {
    name: 'TypeError',
    message: /timeOut/,
  })
})

test('who timed out leaves nothing behind', async () => {
  const lock = await locks.acquire('a')
  assert.equal(await locks.acquire('a', { timeout: 700 }), false)

  await lock.release()

  assert.deepEqual(await redis.command('KEYS', 'lock:*'), [])
  assert.equal((await locks.acquire('a')).acquiredOnAttempt, 1)
})

test('who times out as the lock becomes free has it or leaves it', async () => {
  for (let round = 0; round < 30; round++) {
    const lock = await locks.acquire('a')
    const waiting = locks.acquire('a', { timeout: 30 })
    const released = sleep(25 + (round % 10)).then(() => lock.release())

    // On a machine that is too slow for an answer in time it is an error.
    const got = await waiting.catch(() => false)
    await released

    if (got) assert.equal(await got.release(), true)
    // Were it locked by nobody, it would be for 30 seconds.
    const next = await locks.acquire('a', { timeout: 10000 })
    assert.notEqual(next, false)
    await next.release()
  }
})

test('the options of an acquire do not change those of its manager', async () => {
  const options = { ttl: 60000, maxRetries: 0 }
  const manager = distLock(redis.url, options)

  await manager.acquire('a', { ttl: 5000, maxRetries: 3, retryDelay: 1 })
  await manager.acquire('b')

  assert.ok((await redis.command('PTTL', 'lock:a')) <= 5000)
  assert.ok((await redis.command('PTTL', 'lock:b')) > 30000)
  assert.deepEqual([options.ttl, options.maxRetries], [60000, 0])
})
