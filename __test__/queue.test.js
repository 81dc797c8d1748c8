'use strict'

// Promises 9, 11 and 12 of docs/promises.md: who waits is handed the lock in order of arrival, and who
// gives up leaves nothing behind.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { eventually } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')
const { another, numbers, queueOf, queued, takeTurn, time } = require('./support/turns.js')

const QUEUE = queueOf('a')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

test('a release hands the lock on, however long the retryDelay', async () => {
  const held = await distLock(redis.url).acquire('a')
  const waiting = another(redis, { retryDelay: 600000 }).acquire('a')
  await queued(redis, 1)

  assert.equal(await held.release(), true)

  assert.ok((await time(waiting)) < 10000)
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), (await waiting).id)
})

test('a lock that was handed on has its full ttl soon', async () => {
  const held = await distLock(redis.url).acquire('a')
  const waiting = another(redis, { ttl: 60000 }).acquire('a')
  await queued(redis, 1)

  await held.release()
  await waiting

  const isLong = async () => (await redis.command('PTTL', 'lock:a')) > 50000
  await eventually(isLong, 'its ttl in Redis is the one that was asked for')
})

test('waiters of one process get the lock in order of arrival', async () => {
  const locks = distLock(redis.url)
  const held = await locks.acquire('a')
  const order = []
  const turns = numbers(20).map((index) => takeTurn(order, index, locks.acquire('a')))
  await queued(redis, 20)

  await held.release()
  await Promise.all(turns)

  assert.deepEqual(order, numbers(20))
})

test('waiters of several processes get the lock in order of arrival', async (t) => {
  const held = await distLock(redis.url).acquire('a')
  const program = async ({ distLock, say, told, url }) => {
    const locks = distLock(url)
    for (let turn = 0; turn < 3; turn++) {
      await told(`wait ${turn}`)
      locks.acquire('a').then(async (lock) => {
        // The clock of the machine, the same for all.
        say(`got ${turn}`, process.hrtime.bigint().toString())
        await lock.release()
      })
    }
    await told('end')
    process.exit()
  }
  const children = numbers(3).map(() => runChild(t, { url: redis.url }, program))
  for (const index of numbers(9)) {
    children[index % 3].tell(`wait ${Math.floor(index / 3)}`)
    await queued(redis, index + 1)
  }

  await held.release()
  const times = []
  for (const index of numbers(9)) {
    const [, time] = await children[index % 3].heard(`got ${Math.floor(index / 3)}`)
    times.push(BigInt(time))
  }

  assert.deepEqual(
    times,
    times.slice().sort((a, b) => (a < b ? -1 : 1)),
  )
  for (const child of children) child.tell('end')
})

test('an outage does not change the order of those who wait', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url)
  const held = await distLock(redis.url).acquire('a')
  const order = []
  const turns = numbers(10).map((index) => takeTurn(order, index, locks.acquire('a')))
  await queued(redis, 10)

  proxy.mode = 'hang up'
  proxy.hangUp()
  const { connections } = proxy
  await eventually(() => proxy.connections >= connections + 3, 'tries to connect')
  proxy.mode = 'pass'
  await held.release()
  await Promise.all(turns)

  assert.deepEqual(order, numbers(10))
})

test('an outage before they are in the queue does not change the order of one process', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url)
  const held = await distLock(redis.url).acquire('a')
  const order = []
  const turns = numbers(10).map((index) => takeTurn(order, index, locks.acquire('a')))
  await locks.getAcquiredLock('a round trip')

  proxy.mode = 'hang up'
  proxy.hangUp()
  const { connections } = proxy
  await eventually(() => proxy.connections >= connections + 3, 'tries to connect')
  proxy.mode = 'pass'
  await held.release()
  await Promise.all(turns)

  assert.deepEqual(order, numbers(10))
})

const GIVING_UP = {
  'a timeout': (locks) => locks.acquire('a', { timeout: 1000 }),
  maxRetries: (locks) => locks.acquire('a', { maxRetries: 4, retryDelay: 50 }),
  'an abort': async (locks) => {
    const controller = new AbortController()
    const waiting = locks.acquire('a', { signal: controller.signal })
    await queued(redis, 1)
    controller.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
    return false
  },
}

for (const [what, giveUp] of Object.entries(GIVING_UP)) {
  test(`who left the queue by ${what} leaves nothing in Redis`, async () => {
    const locks = distLock(redis.url)
    const held = await locks.acquire('a')

    assert.equal(await giveUp(locks), false)

    const isGone = async () => (await redis.command('EXISTS', QUEUE)) === 0
    await eventually(isGone, 'the queue is gone')
    await held.release()
    assert.deepEqual(await redis.lockKeys(), [])
  })
}

for (const where of ['the same', 'another']) {
  test(`who gives up as a release of ${where} process grants it the lock does not keep it`, async () => {
    const waits = distLock(redis.url)
    const holds = where === 'another' ? another(redis) : waits
    for (let round = 0; round < 40; round++) {
      const held = await holds.acquire('a')
      const controller = new AbortController()
      const waiting = waits.acquire('a', { signal: controller.signal }).catch(() => false)
      await queued(redis, 1)

      const released = held.release()
      // From the same tick to well after the grant.
      if (round % 4 > 0) await sleep((round % 4) - 1)
      controller.abort()
      const got = await waiting
      await released

      if (got) assert.equal(await got.release(), true)
      // Were it kept, it would be for 30 seconds.
      const next = await holds.acquire('a', { timeout: 10000 })
      assert.ok(next, `in round ${round} nobody had it any more, and it was not free`)
      await next.release()
    }
  })
}

test('who runs out of time as it is granted the lock does not keep it', async () => {
  const waits = distLock(redis.url)
  const holds = another(redis)
  for (let round = 0; round < 30; round++) {
    const held = await holds.acquire('a')
    const waiting = waits.acquire('a', { timeout: 40 }).catch(() => false)
    const released = sleep(36 + (round % 8)).then(() => held.release())

    const got = await waiting
    await released

    if (got) assert.equal(await got.release(), true)
    const next = await holds.acquire('a', { timeout: 10000 })
    assert.ok(next, `in round ${round} nobody had it any more, and it was not free`)
    await next.release()
  }
})

test('100 who wait for one lock cost five commands a second at most', async (t) => {
  const locks = distLock(redis.url)
  const held = await locks.acquire('a')
  const waiting = numbers(100).map(() => locks.acquire('a'))
  await queued(redis, 100)
  const seconds = 3
  const monitor = await redis.monitor()
  t.after(() => monitor.stop())

  const took = await time(sleep(seconds * 1000))

  // What scripts do in Redis is no command that was sent.
  const sent = (await monitor.lines()).filter((line) => !/ lua\] /.test(line))
  assert.ok(sent.length <= (took / 1000) * 5, sent.join('\n'))
  await held.release()
  for (const waiter of waiting) await (await waiter).release()
})

test('all that a queue keeps in Redis expires, and goes with the last waiter', async () => {
  const managers = [distLock(redis.url), another(redis)]
  const held = await managers[0].acquire('a')
  const waiting = numbers(4).map((index) => managers[index % 2].acquire('a', { timeout: 20000 }))
  await queued(redis, 4)

  // This fails if a side key does not expire.
  assert.deepEqual(await redis.lockKeys(), ['lock:a'])
  await held.release()
  await Promise.all(
    waiting.map(async (waiter) => {
      const lock = await waiter
      assert.deepEqual(await redis.lockKeys(), ['lock:a'])
      await lock.release()
    }),
  )

  assert.deepEqual(await redis.command('KEYS', '*'), ['dist-lock:fence'])
})

test('a process that waits and holds nothing else keeps waiting, and ends when it is done', async (t) => {
  const held = await distLock(redis.url).acquire('a')
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
    const lock = await distLock(url).acquire('a')
    say('released', await lock.release())
  })
  await queued(redis, 1)

  await held.release()

  const { code, said, errors } = await child
  assert.deepEqual([code, said, errors], [0, [['released', true]], ''])
})
