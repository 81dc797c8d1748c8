'use strict'

// What others hear of the locks: the channels, and the counts of `locks.stats()`.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const channels = require('node:diagnostics_channel')
const { once } = require('node:events')
const { after, before, beforeEach, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => (redis = await starting))
beforeEach(async () => {
  await redis.command('FLUSHALL')
  locks = distLock(redis.url)
})

/** Hears a channel until the test ends. */
function hear(t, name) {
  const messages = []
  const listen = (message) => messages.push(message)
  channels.subscribe(name, listen)
  t.after(() => channels.unsubscribe(name, listen))
  return messages
}

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error']

/** Hears the tracing channel: the names of the events in turn, and their contexts. */
function trace(t) {
  const events = []
  for (const event of EVENTS) {
    const name = `tracing:dist-lock:acquire:${event}`
    const listen = (context) => events.push({ event, context })
    channels.subscribe(name, listen)
    t.after(() => channels.unsubscribe(name, listen))
  }
  return { names: () => events.map(({ event }) => event), context: () => events[0].context }
}

const aborted = (signal) => (signal.aborted ? undefined : once(signal, 'abort'))

test('a grant is told with all but the id', async (t) => {
  const grants = hear(t, 'dist-lock:grant')

  const lock = await locks.acquire('a', { owner: 'ada', ttl: 5000 })

  const { fencingToken, acquiredOnAttempt: attempts, acquireDelay: waited } = lock
  const common = { resource: 'a', key: 'lock:a', owner: 'ada' }
  assert.deepEqual(grants, [{ ...common, fencingToken, ttl: 5000, attempts, waited }])
  assert.ok(!JSON.stringify(grants).includes(lock.id))
})

test('a release is told with the token of the grant and the time between the two', async (t) => {
  const releases = hear(t, 'dist-lock:release')
  const lock = await locks.acquire('a')
  await sleep(30)

  await lock.release()
  await lock.release()

  const [first, second] = releases
  const { held } = first
  const about = { resource: 'a', key: 'lock:a' }
  const { fencingToken } = lock
  assert.deepEqual(first, { ...about, fencingToken, held, outcome: 'released' })
  assert.ok(held >= 29 && held < 10000, `${held}`)
  const nothing = { fencingToken: undefined, held: undefined }
  assert.deepEqual(second, { ...about, ...nothing, outcome: 'over' })
})

test('a release that fails is told with its error', async (t) => {
  const releases = hear(t, 'dist-lock:release')
  const lock = await locks.acquire('a')
  await redis.command('DEL', 'lock:a')
  await redis.command('SET', 'lock:a', 'no hash')

  const error = await lock.release().catch((error) => error)

  assert.equal(error.redisCode, 'WRONGTYPE')
  assert.equal(releases[0].outcome, 'failed')
  assert.equal(releases[0].error, error)
})

test('an extend is told with the new ttl', async (t) => {
  const extends_ = hear(t, 'dist-lock:extend')
  const lock = await locks.acquire('a')

  await lock.extend(60000)
  await locks.extendLock('a', 'another', 60000)

  const about = { resource: 'a', key: 'lock:a', ttl: 60000 }
  assert.deepEqual(extends_, [
    { ...about, fencingToken: lock.fencingToken, outcome: 'extended' },
    { ...about, fencingToken: undefined, outcome: 'over' },
  ])
  await lock.release()
})

test('a lock that is lost is told once, and one that is released is not', async (t) => {
  const losses = hear(t, 'dist-lock:lost')
  const kept = await locks.acquire('kept', { ttl: 1000 })
  await kept.release()

  // Its lease ends after that of the other would have.
  const lock = await locks.acquire('a', { owner: 'ada', ttl: 1100 })
  await eventually(() => losses.length > 0, 'a loss')
  await lock.release()

  const { held } = losses[0]
  const { fencingToken } = lock
  const about = { resource: 'a', key: 'lock:a', owner: 'ada', fencingToken }
  assert.deepEqual(losses, [{ ...about, held, reason: 'over' }])
})

test('a lock that somebody deleted is told as taken when it is renewed', async (t) => {
  const losses = hear(t, 'dist-lock:lost')
  const lock = await locks.acquire('a', { ttl: 3000, autoExtend: true })

  await redis.command('DEL', 'lock:a')
  await eventually(() => losses.length > 0, 'a loss')

  assert.equal(losses[0].reason, 'taken')
  assert.equal(lock.state, 'lost')
})

test('an acquire over a promise is traced as Node traces promises', async (t) => {
  const { names, context } = trace(t)

  const acquiring = locks.acquire('a', { owner: 'ada', ttl: 5000 })
  assert.deepEqual(names(), ['start', 'end'])
  assert.deepEqual(context(), { resource: 'a', key: 'lock:a', owner: 'ada', ttl: 5000 })
  const lock = await acquiring

  assert.deepEqual(names(), ['start', 'end', 'asyncStart', 'asyncEnd'])
  assert.equal(context().result.fencingToken, lock.fencingToken)
  assert.ok(!JSON.stringify(context()).includes(lock.id))
})

test('an acquire over a callback is traced around the callback', async (t) => {
  const { names } = trace(t)

  const seen = await new Promise((resolve) => {
    locks.acquire('a', 'ada', (...outcome) => resolve({ outcome, names: names() }))
  })

  assert.deepEqual(seen.names, ['start', 'end', 'asyncStart'])
  assert.equal(seen.outcome.length, 2)
  assert.equal(seen.outcome[1].owner, 'ada')
  assert.deepEqual(names(), ['start', 'end', 'asyncStart', 'asyncEnd'])
})

test('being taken is a result in a trace, and a failure is an error', async (t) => {
  await locks.acquire('a')
  const taken = trace(t)
  await locks.acquire('a', { timeout: 0 })
  assert.equal(taken.context().result, false)
  assert.ok(!taken.names().includes('error'))

  const failing = trace(t)
  await locks.close()
  const error = await locks.acquire('a').catch((error) => error)

  assert.deepEqual(failing.names(), ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  assert.equal(failing.context().error, error)
})

test('a callback that is aborted with a strange reason gets it, traced or not', async (t) => {
  await locks.acquire('a')
  const outcome = async () => {
    const controller = new AbortController()
    const { signal } = controller
    const ended = new Promise((resolve) => {
      locks.acquire('a', { signal }, (...outcome) => resolve(outcome))
    })
    controller.abort(null)
    return ended
  }
  const untraced = await outcome()

  const { names } = trace(t)

  assert.deepEqual(await outcome(), untraced)
  assert.ok(names().includes('error'))
})

test('a store bound to the tracing channel is entered', async (t) => {
  if (!channels.tracingChannel) return t.skip('this Node has no tracing channels')
  const storage = new AsyncLocalStorage()
  const { start } = channels.tracingChannel('dist-lock:acquire')
  start.bindStore(storage, ({ resource }) => `span of ${resource}`)
  t.after(() => start.unbindStore(storage))
  const stores = []
  const listen = () => stores.push(storage.getStore())
  channels.subscribe('tracing:dist-lock:acquire:asyncEnd', listen)
  t.after(() => channels.unsubscribe('tracing:dist-lock:acquire:asyncEnd', listen))

  await locks.acquire('a')

  assert.deepEqual(stores, ['span of a'])
})

test('every call of acquire is counted as what came of it', async () => {
  const lock = await locks.acquire('a')
  await locks.acquire('a', { timeout: 0 })
  const controller = new AbortController()
  const aborting = locks.acquire('a', { signal: controller.signal })
  const waiting = locks.acquire('a')
  assert.equal(locks.stats().waiting, 2)
  controller.abort()
  await assert.rejects(aborting)
  assert.equal(locks.stats().waiting, 1)

  await locks.close()

  await assert.rejects(waiting, { code: 'ERR_LOCK_CLOSED' })
  const { acquired, taken, aborted, failed, ...others } = locks.stats()
  assert.deepEqual([acquired, taken, aborted, failed], [1, 1, 1, 1])
  assert.equal(others.waiting, 0)
  assert.equal(others.wait.count, 1)
  assert.equal(await distLock(redis.url).releaseLock('a', lock.id), true)
})

test('locks are counted as held, released, extended or lost, also after closing', async () => {
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => locks.acquire(name)))
  const short = await locks.acquire('d', { ttl: 20 })
  await aborted(short.signal)
  await locks.acquire('e', { ttl: 20 }) // nobody looks at it
  await eventually(() => locks.stats().lost === 2, 'both losses')
  // Redis counts a little longer than their holder may.
  await eventually(async () => !(await redis.command('EXISTS', 'lock:e')), 'it is gone')
  await a.extend(5000)
  await a.release()
  await redis.command('DEL', 'lock:b')
  assert.equal(await b.release(), false)

  const counted = ({ held, released, extended, lost }) => ({ held, released, extended, lost })
  assert.deepEqual(counted(locks.stats()), { held: 1, released: 1, extended: 1, lost: 3 })
  await locks.close({ release: true })

  assert.deepEqual(counted(locks.stats()), { held: 0, released: 2, extended: 1, lost: 3 })
  assert.equal(c.state, 'released')
})

test('a thousand locks that nobody released are counted as lost, however they are forgotten', async () => {
  const names = Array.from({ length: 1000 }, (_, index) => `n${index}`)
  await Promise.all(names.map((name) => locks.acquire(name, { ttl: 300 })))
  await eventually(() => locks.stats().held === 0, 'all are over')

  // Makes room for more.
  const others = await Promise.all(names.map((name) => locks.acquire(name)))

  const { held, lost } = locks.stats()
  assert.deepEqual([held, lost], [1000, 1000])
  await Promise.all(others.map((lock) => lock.release()))
})

test('managers that share a connection are counted apart', async () => {
  const other = distLock(redis.url)
  const lock = await locks.acquire('a')

  await other.releaseLock('a', lock.id)

  assert.deepEqual([locks.stats().acquired, locks.stats().released], [1, 0])
  assert.deepEqual([other.stats().acquired, other.stats().released], [0, 1])
  assert.deepEqual([locks.stats().held, locks.stats().lost], [0, 0])
})

test('waits and holds are in the bucket that their time says', async () => {
  const lock = await locks.acquire('a')
  const waiting = locks.acquire('a')
  await sleep(60)
  await lock.release()
  await (await waiting).release()

  const { wait, hold } = locks.stats()

  for (const { bounds, counts, count, sum } of [wait, hold]) {
    assert.equal(counts.length, bounds.length + 1)
    assert.equal(count, 2)
    assert.equal(
      counts.reduce((sum, number) => sum + number, 0),
      2,
    )
    const above = counts.slice(bounds.indexOf(50) + 1)
    assert.ok(above.some(Boolean), `${counts}`)
    assert.ok(sum >= 59 && sum < 10000, `${sum}`)
  }
})

test('a lock that its caller did not want any more counts as aborted only', async () => {
  const controller = new AbortController()
  const { signal } = controller
  // Both answers come together, so the second is there when the first aborts it.
  const first = new Promise((resolve) => {
    locks.acquire('a', (error, lock) => {
      controller.abort()
      resolve(lock)
    })
  })
  await assert.rejects(locks.acquire('b', { signal }), { name: 'AbortError' })
  await (await first).release()

  await eventually(async () => (await redis.command('EXISTS', 'lock:b')) === 0, 'given back')
  const { acquired, aborted, released, held, lost } = locks.stats()
  assert.deepEqual([acquired, aborted, released, held, lost], [1, 1, 1, 0, 0])
})
