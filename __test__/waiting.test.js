'use strict'

// Those who wait for a lock in one process: who gets it, and when.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { startRedis } = require('./support/redis.js')
const { numbers, takeTurn } = require('./support/turns.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})
beforeEach(() => redis.command('FLUSHALL'))

test('waiters get the lock in the order of their calls', async () => {
  const lock = await locks.acquire('a')
  const order = []
  const turns = numbers(20).map((index) => takeTurn(order, index, locks.acquire('a')))

  await lock.release()
  await Promise.all(turns)

  assert.deepEqual(order, numbers(20))
})

test('waiters of several managers with one connection get it in order, too', async () => {
  const managers = [
    locks,
    distLock(redis.url, { retryDelay: 5 }),
    distLock(redis.url, { ttl: 5000 }),
  ]
  const lock = await locks.acquire('a')
  const order = []
  const turns = numbers(21).map((index) =>
    takeTurn(order, index, managers[index % managers.length].acquire('a')),
  )

  await lock.release()
  await Promise.all(turns)

  assert.deepEqual(order, numbers(21))
})

test('waiters with callbacks and with promises get it in order, too', async () => {
  const lock = await locks.acquire('a')
  const order = []
  const turns = numbers(10).map((index) => {
    if (index % 2 === 0) return takeTurn(order, index, locks.acquire('a'))
    return new Promise((resolve, reject) => {
      locks.acquire('a', (error, next) => {
        if (error) return reject(error)
        order.push(index)
        next.release(resolve)
      })
    })
  })

  await lock.release()
  await Promise.all(turns)

  assert.deepEqual(order, numbers(10))
})

test('200 waiters for one lock are all served, in order, and one at a time', async () => {
  const order = []
  let inside = 0

  await Promise.all(
    numbers(200).map(async (index) => {
      const lock = await locks.acquire('a')
      inside += 1
      assert.equal(inside, 1)
      order.push(index)
      await new Promise(setImmediate)
      inside -= 1
      assert.equal(await lock.release(), true)
    }),
  )

  assert.deepEqual(order, numbers(200))
})

test('an acquire in the tick of a release does not overtake those who wait', async () => {
  const lock = await locks.acquire('a')
  const order = []
  const turns = [0, 1].map((index) => takeTurn(order, index, locks.acquire('a')))
  await locks.getAcquiredLock('a')

  lock.release()
  turns.push(takeTurn(order, 2, locks.acquire('a')))
  await Promise.all(turns)

  assert.deepEqual(order, [0, 1, 2])
})

test('a waiter that gave up does not hold up those behind it', async () => {
  const lock = await locks.acquire('a')
  const order = []
  const impatient = locks.acquire('a', { timeout: 1000 })
  const turns = [takeTurn(order, 'second', locks.acquire('a'))]
  const alsoImpatient = locks.acquire('a', { maxRetries: 1, retryDelay: 5 })
  turns.push(takeTurn(order, 'fourth', locks.acquire('a')))

  assert.equal(await impatient, false)
  assert.equal(await alsoImpatient, false)
  await lock.release()
  await Promise.all(turns)

  assert.deepEqual(order, ['second', 'fourth'])
})

test('waiters for one resource do not hold up another', async () => {
  const lock = await locks.acquire('a')
  const waiting = numbers(50).map(() => locks.acquire('a', { timeout: 60000 }))

  const other = await locks.acquire('b')

  assert.equal(other.acquiredOnAttempt, 1)
  await lock.release()
  for (const waiter of waiting) await (await waiter).release()
})

test('the first waiter gets a lock that expires', async () => {
  const order = []
  await locks.acquire('a', { ttl: 100 })

  await Promise.all(numbers(3).map((index) => takeTurn(order, index, locks.acquire('a'))))

  assert.deepEqual(order, [0, 1, 2])
})

test('the first waiter gets a lock that something else deletes', async () => {
  const order = []
  await redis.command('HSET', 'lock:a', 'id', 'other', 'owner', 'other')
  const turns = numbers(3).map((index) => takeTurn(order, index, locks.acquire('a')))
  await locks.getAcquiredLock('a')

  await redis.command('DEL', 'lock:a')
  await Promise.all(turns)

  assert.deepEqual(order, [0, 1, 2])
})

test('waiters over two connections are all served', async () => {
  const [one, other] = [locks, distLock(`unix://${redis.path}`)]
  let served = 0

  await Promise.all(
    numbers(40).map(async (index) => {
      const lock = await (index % 2 ? one : other).acquire('a')
      served += 1
      await lock.release()
    }),
  )

  assert.equal(served, 40)
})

test('a thousand resources can be locked at once', async () => {
  const held = await Promise.all(numbers(1000).map((index) => locks.acquire(`a${index}`)))

  assert.equal(new Set(held.map(({ id }) => id)).size, 1000)
  const released = await Promise.all(held.map((lock) => lock.release()))
  assert.ok(released.every((value) => value === true))
  assert.deepEqual(await redis.command('KEYS', 'lock:*'), [])
})
