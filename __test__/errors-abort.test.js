'use strict'

// Promise 12 of docs/promises.md: an abort ends an acquire at once, and nothing is left of it.

const assert = require('node:assert/strict')
const { getEventListeners, once, setMaxListeners } = require('node:events')
const { test, before, after } = require('node:test')
const distLock = require('../index.js')
const { eventually, failure } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { freePort, startRedis } = require('./support/redis.js')

const REASON = new Error('not needed any more')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

let made = 0
/** A resource of one test alone. */
const newResource = () => `resource${++made}`

async function isFree(resource) {
  return (await redis.command('EXISTS', `lock:${resource}`)) === 0
}

/** A manager behind a proxy, connected. */
async function setUp(t, options) {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, options)
  await locks.getAcquiredLock('before')
  return { proxy, locks }
}

test('an abort rejects with the reason of the signal itself', async () => {
  const locks = distLock(redis.url)
  const resource = newResource()
  await locks.acquire(resource)

  for (const reason of [REASON, 'a text', 0, null, { an: 'object' }]) {
    const controller = new AbortController()
    const waiting = locks.acquire(resource, { signal: controller.signal })
    controller.abort(reason)

    const [{ status, reason: got }] = await Promise.allSettled([waiting])
    assert.deepEqual([status, got], ['rejected', reason])
  }
})

test('a signal that is aborted already rejects with its reason and asks nobody', async (t) => {
  const { proxy, locks } = await setUp(t)
  let requests = 0
  proxy.on('request', () => requests++)

  for (const reason of [REASON, null, 0]) {
    const waiting = locks.acquire('a', { signal: AbortSignal.abort(reason) })

    const [{ status, reason: got }] = await Promise.allSettled([waiting])
    assert.deepEqual([status, got], ['rejected', reason])
  }
  assert.equal(requests, 0)
})

test('AbortSignal.timeout() ends an acquire with its TimeoutError', async () => {
  const locks = distLock(redis.url)
  const resource = newResource()
  await locks.acquire(resource)

  const error = await failure(locks.acquire(resource, { signal: AbortSignal.timeout(50) }), 50)

  assert.equal(error.name, 'TimeoutError')
})

test('an abort while the command is on its way leaves no key behind', async (t) => {
  const { proxy, locks } = await setUp(t)
  const resource = newResource()
  const monitor = await redis.monitor()
  t.after(() => monitor.stop())
  const controller = new AbortController()
  let pass
  proxy.delay.request = new Promise((resolve) => (pass = resolve))
  const acquired = locks.acquire(resource, { signal: controller.signal })
  await once(proxy, 'request')

  controller.abort(REASON)

  assert.equal(await failure(acquired, 50), REASON)
  pass()
  const isWrite = (line) => /lua\] "HM?SET"/i.test(line) && line.includes(resource)
  await eventually(async () => (await monitor.lines()).some(isWrite), 'granted')
  await eventually(() => isFree(resource), 'released')
})

test('an abort while the reply is on its way leaves no key behind', async (t) => {
  const { proxy, locks } = await setUp(t)
  const resource = newResource()
  let pass
  proxy.delay.reply = new Promise((resolve) => (pass = resolve))
  const controller = new AbortController()
  const acquired = locks.acquire(resource, { signal: controller.signal })
  await once(proxy, 'reply')
  assert.equal(await isFree(resource), false)

  controller.abort(REASON)

  assert.equal(await failure(acquired, 50), REASON)
  pass()
  await eventually(() => isFree(resource), 'released')
})

test('an abort when the reply is lost leaves no key behind', async (t) => {
  const { proxy, locks } = await setUp(t, { commandTimeout: 600, connectTimeout: 1000 })
  const resource = newResource()
  proxy.mode = 'swallow replies'
  const controller = new AbortController()
  const acquired = locks.acquire(resource, { signal: controller.signal })
  await once(proxy, 'reply')
  proxy.halfOpen()
  proxy.mode = 'pass'
  assert.equal(await isFree(resource), false)

  controller.abort(REASON)

  assert.equal(await failure(acquired, 50), REASON)
  await eventually(() => isFree(resource), 'released')
})

test('an abort while the calls of a refused script are asked again leaves no key behind', async (t) => {
  const server = await startRedis(t, { users: { ada: 'on >secret ~lock:* &* +@all' } })
  const proxy = await startProxy(t, server)
  const source = { host: proxy.host, port: proxy.port, username: 'ada', password: 'secret' }
  const locks = distLock(source)
  const forbidden = distLock(source, { keyPrefix: 'other:' })
  await locks.getAcquiredLock('before')
  let pass
  proxy.delay.reply = new Promise((resolve) => (pass = resolve))
  const controller = new AbortController()
  const acquired = locks.acquire('a', { signal: controller.signal })
  const refused = failure(forbidden.acquire('b'), 1000)
  await once(proxy, 'reply')

  controller.abort(REASON)

  assert.equal(await failure(acquired, 50), REASON)
  pass()
  assert.equal((await refused).redisCode, 'NOPERM')
  const none = async () => (await server.command('EXISTS', 'lock:a')) === 0
  await eventually(none, 'released')
})

test('an abort in the tick of the call leaves no key behind', async () => {
  const locks = distLock(redis.url)
  const resource = newResource()
  const controller = new AbortController()

  const acquired = locks.acquire(resource, { signal: controller.signal })
  controller.abort(REASON)

  assert.equal(await failure(acquired, 500), REASON)
  await eventually(() => isFree(resource), 'released')
})

test('an abort from the callback of another call leaves no key behind', async () => {
  const locks = distLock(redis.url)
  const [first, second] = [newResource(), newResource()]
  await locks.getAcquiredLock('before')
  const controller = new AbortController()

  // Granted in one reply, so that the second waits behind the first when that is told.
  const error = await new Promise((resolve) => {
    locks.acquire(first, () => controller.abort(REASON))
    locks.acquire(second, { signal: controller.signal }, (error) => resolve(error))
  })

  assert.equal(error, REASON)
  await eventually(() => isFree(second), 'released')
})

test('calls after an abort from the callback of another call are answered as usual', async () => {
  const locks = distLock(redis.url)
  await locks.getAcquiredLock('before')
  const controller = new AbortController()
  await new Promise((resolve) => {
    locks.acquire(newResource(), () => controller.abort(REASON))
    locks.acquire(newResource(), { signal: controller.signal }, resolve)
  })

  for (let at = 0; at < 10; at++) {
    const lock = await locks.acquire(newResource(), { timeout: 10000 })
    assert.ok(lock?.id, `call ${at} answered ${lock}`)
  }
})

test('aborts at any moment leave neither a key nor a call without an end', async () => {
  const locks = distLock(redis.url)
  const prefix = newResource()
  const outcomes = []
  for (let round = 0; round < 300; round++) {
    const controller = new AbortController()
    const resource = `${prefix}-${round}`
    outcomes.push(
      locks.acquire(resource, { signal: controller.signal }).then(
        (lock) => lock.release(),
        (error) => assert.equal(error, REASON),
      ),
    )
    // Before it is sent, on its way there, on its way back, in the mailbox, told.
    for (let turns = round % 6; turns > 0; turns--) await new Promise(setImmediate)
    controller.abort(REASON)
  }

  await Promise.all(outcomes)

  const none = async () => (await redis.command('KEYS', `lock:${prefix}-*`)).length === 0
  await eventually(none, 'released')
})

test('an abort ends an acquire at once when Redis cannot be reached', async () => {
  const locks = distLock(`redis://127.0.0.1:${await freePort()}`)

  const error = await failure(locks.acquire('a', { signal: AbortSignal.timeout(200) }), 200)

  assert.equal(error.name, 'TimeoutError')
})

test('an abort ends an acquire at once when Redis hangs', async (t) => {
  const { proxy, locks } = await setUp(t)
  proxy.mode = 'blackhole'

  const error = await failure(locks.acquire('a', { signal: AbortSignal.timeout(200) }), 200)

  assert.equal(error.name, 'TimeoutError')
})

test('an abort of one waiter leaves the others waiting, in their order', async () => {
  const locks = distLock(redis.url, { retryDelay: 20 })
  const resource = newResource()
  const held = await locks.acquire(resource)
  const controllers = Array.from({ length: 3 }, () => new AbortController())
  const order = []
  const waiting = controllers.map(({ signal }, at) =>
    locks.acquire(resource, { signal }).then((lock) => {
      order.push(at)
      return lock.release()
    }),
  )
  const aborted = failure(waiting[1], 500)

  controllers[1].abort(REASON)
  await aborted
  await held.release()
  await Promise.all([waiting[0], waiting[2]])

  assert.deepEqual(order, [0, 2])
})

test('an abort of a lock that is acquired already changes nothing', async () => {
  const locks = distLock(redis.url)
  const controller = new AbortController()
  const resource = newResource()
  const lock = await locks.acquire(resource, { signal: controller.signal })

  controller.abort(REASON)
  await locks.getAcquiredLock('a round trip later')

  assert.equal(await redis.command('HGET', `lock:${resource}`, 'id'), lock.id)
})

test('calls that ended have left no listener on their signal', async () => {
  const locks = distLock(redis.url)
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  const taken = newResource()
  await locks.acquire(taken)

  await Promise.all([
    ...Array.from({ length: 100 }, () => locks.acquire(newResource(), { signal })),
    locks.acquire(taken, { signal, timeout: 1000 }),
    locks.acquire('', { signal }).catch(() => {}),
    distLock(`${redis.url}/99`)
      .acquire('a', { signal })
      .catch(() => {}),
  ])

  assert.equal(getEventListeners(signal, 'abort').length, 0)
})
