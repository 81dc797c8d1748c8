'use strict'

// Locks that several hold at once, over `acquire`, and a lock that is taken from its holder.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { NOISE, assertLockError, called, eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')
const { queued } = require('./support/turns.js')

const users = { classic: 'on >secret ~lock:* &* +@all' }

let redis
let locks
let others
const starting = startRedis({ after }, { users })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
  // A connection of its own, as another process has.
  others = distLock(redis.url, { connectTimeout: 9999 })
})
beforeEach(() => redis.command('FLUSHALL'))

const atOnce = { timeout: 0 }
const release = (held) => Promise.all(held.map((lock) => lock.release()))

test('as many hold a lock as there are permits, and not one more', async () => {
  const three = { permits: 3 }
  const held = [
    await locks.acquire('a', three),
    await others.acquire('a', three),
    await called((callback) => locks.acquire('a', three, callback)),
  ]

  assert.equal(await others.acquire('a', { ...three, ...atOnce }), false)
  assert.equal(await locks.acquire('a', atOnce), false)
  assert.equal(new Set(held.map(({ id }) => id)).size, 3)

  await held[1].release()
  const next = await others.acquire('a', { ...three, ...atOnce })
  assert.ok(next.fencingToken > held[2].fencingToken)
  await release([held[0], held[2], next])
  assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
})

test('many share a lock, and nobody has it alone meanwhile', async () => {
  const shared = { mode: 'shared', ...atOnce }
  const held = [await locks.acquire('a', shared), await others.acquire('a', shared)]
  assert.equal(await locks.acquire('a', { mode: 'exclusive', ...atOnce }), false)

  await release(held)

  const alone = await locks.acquire('a', atOnce)
  assert.equal(await others.acquire('a', shared), false)
  await alone.release()
})

test('tokens grow from share to share', async () => {
  const tokens = []
  for (let turn = 0; turn < 20; turn++) {
    const lock = await (turn % 2 ? locks : others).acquire('a', { mode: 'shared' })
    tokens.push(lock.fencingToken)
  }

  assert.deepEqual(
    tokens,
    tokens.toSorted((one, other) => one - other),
  )
  assert.equal(new Set(tokens).size, 20)
})

test('those who wait for a permit get one in their order, also in another process', async () => {
  const held = await locks.acquire('a', { permits: 1 })
  const order = []
  const waiters = []
  for (const [number, manager] of [locks, others, others, locks].entries()) {
    waiters.push(
      manager.acquire('a', { permits: 1 }).then((lock) => {
        order.push(number)
        return lock.release()
      }),
    )
    await queued(redis, number + 1)
  }

  await held.release()
  await Promise.all(waiters)

  assert.deepEqual(order, [0, 1, 2, 3])
})

test('two hundred who wait for ten permits in two processes all get one', async () => {
  let holding = 0
  let most = 0
  const one = async (_, number) => {
    const lock = await (number % 2 ? locks : others).acquire('a', { permits: 10 })
    most = Math.max(most, ++holding)
    await new Promise(setImmediate)
    holding -= 1
    assert.equal(await lock.release(), true)
  }

  await Promise.all(Array.from({ length: 200 }, one))

  assert.ok(most <= 10, `${most} at once`)
  assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
})

test('readers who wait behind a writer all read once it is done', async () => {
  const writer = await locks.acquire('a')
  const readers = Array.from({ length: 150 }, (_, number) =>
    (number % 2 ? locks : others).acquire('a', { mode: 'shared' }),
  )
  await queued(redis, 150)
  await writer.release()

  const held = await Promise.all(readers)

  const { held: snapshot } = await locks.query()
  assert.equal(snapshot.length, 150)
  assert.ok(snapshot.every(({ mode }) => mode === 'shared'))
  await release(held)
})

test('who says another number of permits is refused, and told the number', async () => {
  const cases = [
    [{ permits: 3 }, { permits: 4 }],
    [{ permits: 3 }, { mode: 'shared' }],
    [{ mode: 'shared' }, { permits: 3 }],
  ]
  for (const [number, [first, second]] of cases.entries()) {
    const resource = `r${number}`
    const lock = await locks.acquire(resource, first)

    const error = await others.acquire(resource, second).catch((error) => error)

    assert.equal(error.code, 'ERR_LOCK_PERMITS')
    assert.equal(error.resource, resource)
    if (first.permits) assert.match(error.message, /3/)
    assert.equal((await locks.getAcquiredLock(resource)).id, lock.id)
  }
})

test('a bad `permits` or `mode` is an error that says what is wrong with it', async () => {
  const cases = [
    [{ permits: 0 }, RangeError, 'Expected `permits` to be from 1 to 4294967295; got 0'],
    [{ permits: 2 ** 32 }, RangeError, /from 1 to 4294967295; got 4294967296/],
    [{ permits: 1.5 }, TypeError, 'Expected `permits` to be an integer; got 1.5'],
    [{ permits: '3' }, TypeError, /Expected `permits` to be an integer; got/],
    [{ permits: NaN }, TypeError, /Expected `permits` to be an integer; got NaN/],
    [{ mode: 'read' }, TypeError, /Expected `mode` to be 'exclusive' or 'shared'; got/],
    [{ mode: 'shared', permits: 3 }, TypeError, /`permits` or `mode`, not both/],
  ]
  for (const [options, Kind, message] of cases) {
    const thrown = await locks.acquire('a', options).catch((error) => error)
    const given = await called((callback) => locks.acquire('a', options, callback)).catch(
      (error) => error,
    )

    for (const error of [thrown, given]) {
      assert.ok(error instanceof Kind, `${JSON.stringify(options)}: ${error}`)
      if (typeof message === 'string') assert.equal(error.message, message)
      else assert.match(error.message, message)
    }
  }
  assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
})

test('getAcquiredLock tells of the oldest share, with its token and the time left', async () => {
  const first = await locks.acquire('a', { permits: 2, owner: 'ann', ttl: 60_000 })
  const second = await others.acquire('a', { permits: 2, owner: 'bob', ttl: 30_000 })

  const details = await others.getAcquiredLock('a')
  assert.equal(details.id, first.id)
  assert.equal(details.owner, 'ann')
  assert.equal(details.fencingToken, first.fencingToken)
  assert.ok(details.remaining > 30_000 && details.remaining <= 60_000, `${details.remaining}`)

  await first.release()
  const next = await locks.getAcquiredLock('a')
  assert.equal(next.id, second.id)
  assert.equal(next.fencingToken, second.fencingToken)
  await next.release()
  assert.equal(await locks.getAcquiredLock('a'), null)
})

test('a share is extended and renewed by itself, and ends by itself', async () => {
  const short = await locks.acquire('a', { mode: 'shared', ttl: 1500 })
  const renewed = await others.acquire('a', { mode: 'shared', ttl: 1500, autoExtend: true })
  assert.equal(await short.extend(1800), true)

  const holders = async () => (await locks.query()).held.length
  await eventually(async () => (await holders()) === 1, 'the one that nobody renews is over')
  assert.equal(short.remaining, 0)
  assert.equal(await short.extend(500), false, 'it is not brought back')

  assert.equal(renewed.state, 'held')
  assert.equal((await locks.getAcquiredLock('a')).id, renewed.id)
  assert.equal(await renewed.release(), true)
})

test('a share of a process that was killed goes to who waits when it is over', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
    await distLock(url).acquire('a', { permits: 2, ttl: 3000 })
    say('holds')
    setInterval(() => {}, 1000)
  })
  await child.heard('holds')
  const living = await locks.acquire('a', { permits: 2 })
  const next = locks.acquire('a', { permits: 2 })
  await queued(redis, 1)
  await child.kill('SIGKILL')

  const lock = await next

  // Its ttl, and a beat.
  assert.ok(lock.acquireDelay <= 3000 + 1000 + NOISE, `${lock.acquireDelay} ms`)
  assert.equal(living.state, 'held')
})

test('forceRelease tells the holders, in another process too', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
    const lock = await distLock(url).acquire('a', { permits: 2 })
    lock.signal.addEventListener('abort', () => {
      say('lost', lock.state, lock.signal.reason.code)
      process.exit()
    })
    // Until messages reach this process.
    const watch = await distLock(url).acquire('watched', { permits: 1 })
    say('holds', lock.id, lock.fencingToken, watch.id)
    setInterval(() => {}, 1000)
  })
  const [, , token] = await child.heard('holds')
  const lock = await locks.acquire('a', { permits: 2 })
  const heard = new Promise((resolve) => lock.signal.addEventListener('abort', resolve))
  const channels = async () => (await redis.command('PUBSUB', 'CHANNELS')).length
  await eventually(async () => (await channels()) >= 2, 'both listen')

  assert.equal(await others.forceRelease('a'), true)

  assert.deepEqual(await child.heard('lost'), ['lost', 'lost', 'ERR_LOCK_LOST'])
  await heard
  assert.equal(lock.state, 'lost')
  assert.equal(await lock.release(), false)
  assert.equal(await others.forceRelease('a'), false)
  const next = await others.acquire('a', atOnce)
  assert.ok(next.fencingToken > Math.max(token, lock.fencingToken))
})

test('forceRelease hands the lock on to all there is room for', async () => {
  const held = await locks.acquire('a')
  const waiters = [0, 1, 2].map(() => others.acquire('a', { permits: 2 }))
  await queued(redis, 3)

  assert.equal(await locks.forceRelease('a'), true)

  const [first, second] = await Promise.all(waiters.slice(0, 2))
  assert.ok(first.fencingToken > held.fencingToken)
  assert.equal(await locks.acquire('a', { permits: 2, ...atOnce }), false)
  await first.release()
  await (await waiters[2]).release()
  await second.release()
})

test('where there is no queue, locks are not shared or taken away, and the error says so', async () => {
  const url = redis.url.replace('redis://', 'redis://classic:secret@')
  const classic = distLock(url)
  assert.equal((await classic.info()).mode, 'classic')

  for (const call of [
    () => classic.acquire('a', { permits: 2 }),
    () => classic.acquire('a', { mode: 'shared', ...atOnce }),
    () => classic.forceRelease('a'),
  ]) {
    const error = await call().catch((error) => error)
    assertLockError(error, { code: 'ERR_LOCK_UNSUPPORTED', cause: /queue/, resource: 'a' })
  }
  assert.ok(await classic.acquire('a', { mode: 'exclusive', ...atOnce }))
})

test('memory: gives permits and shares as well', async () => {
  const memory = distLock('memory:permits')
  const held = [
    await memory.acquire('a', { permits: 2 }),
    await memory.acquire('a', { permits: 2 }),
  ]
  assert.equal(await memory.acquire('a', { permits: 2, ...atOnce }), false)
  const next = memory.acquire('a', { permits: 2 })
  await held[0].release()
  assert.ok((await next).fencingToken > held[1].fencingToken)
})
