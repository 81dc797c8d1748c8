'use strict'

// The Web Locks API where something goes wrong: with the server, the rights of a user, the program.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { NOISE, eventually, failure } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after }, { users: { classic: 'on >secret ~lock:* &* +@all' } })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

const TTL = 1500

function openLocks(options) {
  const { host, port } = redis
  const [username, password] = ['administrator', 'administrator']
  return distLock({ host, port, username, password }, { ttl: TTL, ...options })
}

/** Requests a lock; resolves once it is held, until `end` is called and for as long as `work` takes then. */
async function holdUntilTold(locks, name, work, options = {}) {
  let request, end
  const ended = new Promise((resolve) => (end = resolve))
  await new Promise((held) => {
    request = locks.request(name, options, () => {
      held()
      return ended.then(work)
    })
    request.catch(() => {})
  })
  return { request, end }
}

/** The same for ever; the request is expected to fail. */
const holdForEver = (locks, name, options) => holdUntilTold(locks, name, () => {}, options)

async function assertLost(request, limit) {
  const error = await failure(request, limit)
  assert.ok(error instanceof DOMException)
  assert.equal(error.name, 'AbortError')
  assert.equal(error.cause.code, 'ERR_LOCK_LOST')
}

test('a request fails when its lease is over, however silent the server is', async (t) => {
  const locks = openLocks()
  const { request } = await holdForEver(locks, 'a')
  t.after(() => redis.resume())

  await redis.pause()

  await assertLost(request, TTL)
})

test('what a callback returned or threw is held up by a silent server no longer than its lease lasts', async (t) => {
  const locks = openLocks()
  t.after(() => redis.resume())
  const returns = await holdUntilTold(locks, 'a', () => 'returned')
  const throws = await holdUntilTold(locks, 'b', () => Promise.reject('thrown'))
  await redis.pause()
  const started = performance.now()

  returns.end()
  throws.end()

  assert.equal(await returns.request, 'returned')
  assert.equal(await failure(throws.request, TTL), 'thrown')
  assert.ok(performance.now() - started < TTL + NOISE)
})

test('requests fail when their locks are deleted, and those who wait are served', async () => {
  const locks = openLocks()
  const { request: exclusive } = await holdForEver(locks, 'a')
  const { request: shared } = await holdForEver(locks, 'b', { mode: 'shared' })
  const waiting = [locks.request('a', () => 'a'), locks.request('b', () => 'b')]
  await eventually(async () => (await locks.query()).pending.length === 2, 'both wait')

  await redis.command('FLUSHALL')

  await assertLost(exclusive, TTL)
  await assertLost(shared, TTL)
  assert.deepEqual(await Promise.all(waiting), ['a', 'b'])
})

test('requests fail when the server lost its memory, and those who wait are served', async () => {
  const locks = openLocks()
  const { request } = await holdForEver(locks, 'a', { mode: 'shared' })
  const waiting = locks.request('a', () => 'served')
  await eventually(async () => (await locks.query()).pending.length === 1, 'one waits')

  await redis.restart()

  await assertLost(request, TTL)
  assert.equal(await waiting, 'served')
})

test('who steals from a silent server gives up at its timeout', async (t) => {
  const locks = openLocks()
  await locks.query()
  t.after(() => redis.resume())
  await redis.pause()

  const error = await failure(locks.request('a', { steal: true, timeout: 200 }, assert.fail), 200)

  assert.equal(error.code, 'ERR_LOCK_UNKNOWN')
})

test('where there is no queue an exclusive request works, and a shared one says why not', async () => {
  const { host, port } = redis
  const locks = distLock({ host, port, username: 'classic', password: 'secret' })
  assert.equal((await locks.info()).mode, 'classic')

  const order = await locks.request('a', async (lock) => {
    assert.equal(lock.fencingToken, undefined)
    assert.equal(await locks.request('a', { ifAvailable: true }, (other) => other), null)
    const { held } = await locks.query()
    assert.deepEqual(
      held.map(({ name, mode }) => [name, mode]),
      [['a', 'exclusive']],
    )
    return 'done'
  })

  assert.equal(order, 'done')
  for (const options of [{ mode: 'shared' }, { steal: true }]) {
    await assert.rejects(locks.request('a', options, assert.fail), { code: 'ERR_LOCK_UNSUPPORTED' })
  }
})

test('a lock whose callback never ends is kept, though nobody has a reference to anything of it', async (t) => {
  const { said, code, errors } = await runChild(
    t,
    {},
    async ({ distLock, say }) => {
      const locks = distLock('memory:', { ttl: 1200 })
      await new Promise((held) => {
        locks.request('a', () => {
          held()
          return new Promise(() => {})
        })
      })
      const end = Date.now() + 2600
      while (Date.now() < end) {
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      say(await locks.request('a', { ifAvailable: true }, (lock) => lock))
    },
    ['--expose-gc'],
  )

  assert.equal(code, 0, errors)
  assert.deepEqual(said, [[null]])
})

test('a callback that never ends keeps no program alive, a request that waits does', async (t) => {
  const { code, errors } = await runChild(t, {}, ({ distLock }) => {
    distLock('memory:').request('a', () => new Promise(() => {}))
  })
  assert.equal(code, 0, errors)

  const locks = openLocks()
  const { request, end } = await holdUntilTold(locks, 'a', () => {})
  const waiting = runChild(t, { source: redis.url }, ({ distLock, say, source }) => {
    distLock(source).request('a', () => say('served'))
  })
  await eventually(async () => (await locks.query()).pending.length === 1, 'it waits')
  end()
  await request
  assert.deepEqual((await waiting).said, [['served']])
})

test('what a request fails with and nobody looks at is one unhandled rejection, and no more', async (t) => {
  const { said } = await runChild(t, {}, async ({ distLock, say }) => {
    process.on('unhandledRejection', (reason) => say('unhandled', reason?.name ?? reason))
    const locks = distLock('memory:')
    const controller = new AbortController()
    await locks.request('a', async () => {
      locks.request('a', { signal: controller.signal }, () => {})
      controller.abort('aborted')
    })
    locks.request('b', () => Promise.reject('rejected'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const stolen = locks.request('c', async () => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      throw new Error('too late')
    })
    stolen.catch((error) => say('stolen', error.name))
    await locks.request('c', { steal: true }, () => {})
    await new Promise((resolve) => setTimeout(resolve, 200))
  })

  assert.deepEqual(said, [
    ['unhandled', 'aborted'],
    ['unhandled', 'rejected'],
    ['stolen', 'AbortError'],
  ])
})
