'use strict'

// Where there can be no queue, a manager
// works as version 2 did, and says so.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')
const { freePort, startRedis } = require('./support/redis.js')

/** Users for whom there is no queue, and what the reason must name. */
const CLASSIC = {
  'whose keys are lock:*': { rules: 'on >secret ~lock:* &* +@all', reason: /NOPERM|permission/i },
  'who may not publish': {
    rules: 'on >secret ~* &* +@all -publish',
    reason: /publish|can't run this command/i,
  },
  'without rights to channels': {
    rules: 'on >secret ~* resetchannels +@all',
    reason: /channel|permission/i,
  },
  'who may not subscribe': {
    rules: 'on >secret ~* &* +@all -subscribe',
    reason: /subscribe/i,
  },
}
const names = Object.keys(CLASSIC).map((_, index) => `user${index}`)
const users = Object.fromEntries(
  Object.values(CLASSIC).map(({ rules }, index) => [names[index], rules]),
)

let redis
const starting = startRedis({ after }, { users })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

/** A manager for one of the users, with a connection of its own. */
function locksOf(username, options) {
  const { host, port } = redis
  return distLock({ host, port, username, password: 'secret' }, options)
}

/** Takes turns with others, and finds out when it was not alone. */
async function takeTurns(locks, room, turns) {
  for (let turn = 0; turn < turns; turn++) {
    const lock = await locks.acquire('a')
    room.inside += 1
    room.most = Math.max(room.most, room.inside)
    await new Promise(setImmediate)
    room.inside -= 1
    room.turns += 1
    assert.equal(await lock.release(), true)
  }
}

test('an ordinary server has a queue', async () => {
  assert.deepEqual(await distLock(redis.url).info(), { mode: 'queue' })
})

test('memory: has a queue', async () => {
  assert.deepEqual(await distLock('memory:').info(), { mode: 'queue' })
})

test('info calls a callback, too', async () => {
  const locks = distLock(redis.url)

  const outcome = await new Promise((resolve) => {
    assert.equal(
      locks.info((...args) => resolve(args)),
      undefined,
    )
  })

  assert.deepEqual(outcome, [null, { mode: 'queue' }])
  assert.throws(() => locks.info(5), { name: 'TypeError', message: 'callback is not a function' })
})

test('info fails where there is no server', async () => {
  const locks = distLock(`redis://127.0.0.1:${await freePort()}`, { connectTimeout: 200 })

  await assert.rejects(locks.info(), { name: 'LockError', code: 'ERR_LOCK_UNREACHABLE' })
})

test('info changes nothing in Redis that stays, but the counter of tokens', async () => {
  await distLock(redis.url).info()

  assert.deepEqual(await redis.lockKeys(), [])
})

for (const [index, [who, { reason }]] of Object.entries(CLASSIC).entries()) {
  const locks = (options) => locksOf(names[index], options)

  test(`for a user ${who} there is no queue, and info says why`, async () => {
    const info = await locks().info()

    assert.deepEqual(Object.keys(info), ['mode', 'reason'])
    assert.equal(info.mode, 'classic')
    assert.match(info.reason, reason)
    assert.doesNotMatch(info.reason, /user_script/, 'nobody else knows our scripts')
  })

  test(`a user ${who} can lock, look, extend and release`, async () => {
    const manager = locks()
    const lock = await manager.acquire('a', 'me')

    assert.equal(await manager.acquire('a', { maxRetries: 0 }), false)
    assert.equal((await manager.getAcquiredLock('a')).owner, 'me')
    assert.equal(await lock.extend(60000), true)
    assert.ok((await redis.command('PTTL', 'lock:a')) > 30000)
    assert.equal(await lock.release(), true)
    assert.deepEqual(await redis.lockKeys(), [])
  })

  test(`a user ${who} waits for a lock until it is free`, async () => {
    const held = await distLock(redis.url).acquire('a')
    const [fast, slow] = [locks({ retryDelay: 5 }), locks({ retryDelay: 5 })]
    const waiting = [fast.acquire('a'), slow.acquire('a')]
    assert.equal(await fast.acquire('a', { maxRetries: 3 }), false)

    await held.release()

    const served = waiting.map(async (waiter) => (await waiter).release())
    assert.deepEqual(await Promise.all(served), [true, true])
  })

  test(`a user ${who} and processes with a queue exclude each other`, async () => {
    const room = { inside: 0, most: 0, turns: 0 }
    const managers = [
      locks({ retryDelay: 2 }),
      distLock(redis.url),
      distLock(`unix://${redis.path}`),
    ]

    await Promise.all(managers.map((manager) => takeTurns(manager, room, 30)))

    assert.deepEqual(room, { inside: 0, most: 1, turns: 90 })
  })
}

test('where no connection for messages can be had a waiter polls', async (t) => {
  const server = await startRedis(t)
  const held = await distLock(`unix://${server.path}`).acquire('a')
  const locks = distLock(server.url, { retryDelay: 5 })
  // This opens all connections.
  assert.equal(await locks.acquire('a', { timeout: 1000 }), false)
  const clients = (await server.command('CLIENT', 'LIST')).trim().split('\n')
  await server.command('CONFIG', 'SET', 'maxclients', clients.length - 1)
  assert.equal(await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'), 1)
  const waiting = locks.acquire('a')
  await locks.getAcquiredLock('a round trip')

  await held.release()

  assert.equal(await (await waiting).release(), true)
  const { mode, reason } = await locks.info()
  assert.equal(mode, 'classic')
  // What Redis says of it may be cut off by its hanging up.
  assert.match(reason, /max number of clients|cannot reach Redis/)
})

test('a user who loses the right to the queue while waiting waits on, or is told', async () => {
  await redis.command('ACL', 'SETUSER', 'changing', 'on', '>secret', '~*', '&*', '+@all')
  const held = await distLock(redis.url).acquire('a')
  const locks = locksOf('changing', { retryDelay: 5 })
  const waiting = locks.acquire('a').catch((error) => error)
  const isQueued = async () => (await redis.command('EXISTS', 'dist-lock:queue:{lock:a}')) === 1
  await eventually(isQueued, 'in the queue')

  await redis.command('ACL', 'SETUSER', 'changing', 'resetchannels', 'resetkeys', '~lock:*')
  await held.release()

  const outcome = await waiting
  if (outcome instanceof Error) assert.equal(outcome.code, 'ERR_LOCK_REDIS')
  else assert.equal(await outcome.release(), true)
  assert.ok(await distLock(redis.url).acquire('a', { timeout: 10000 }), 'it was kept')
})
