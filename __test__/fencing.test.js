'use strict'

// Promise 4 of docs/promises.md: each new holder's token is larger than all before it, while the
// data of Redis or its clock survives.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, before, beforeEach, test } = require('node:test')
const { promisify } = require('node:util')
const distLock2 = require('dist-lock-2')
const distLock = require('..')
const { clientKinds } = require('./support/clients.js')
const { runChild } = require('./support/child.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

const users = { classic: 'on >secret ~lock:* &* +@all' }

let redis
let locks
const starting = startRedis({ after }, { users })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})
beforeEach(() => redis.command('FLUSHALL'))

const numbers = (count) => Array.from({ length: count }, (_, index) => index)

/** The token of a holder that is gone at once. */
async function token(of = locks, name = 'a') {
  const lock = await of.acquire(name)
  await lock.release()
  return lock.fencingToken
}

function assertGrowing(tokens) {
  for (const [at, token] of tokens.entries()) {
    assert.ok(Number.isSafeInteger(token), `${token}`)
    assert.ok(at === 0 || token > tokens[at - 1], `${tokens[at - 1]} was followed by ${token}`)
  }
}

/** What changes or removes what tokens are counted with. */
const LOSSES = {
  'nothing happened': () => {},
  FLUSHALL: (server) => server.command('FLUSHALL'),
  'DEL dist-lock:fence': async (server) => {
    assert.equal(await server.command('DEL', 'dist-lock:fence'), 1)
  },
  'SCRIPT FLUSH': (server) => server.command('SCRIPT', 'FLUSH'),
  'a restart': (server) => server.restart(),
}

for (const [what, happens] of Object.entries(LOSSES)) {
  test(`a token is larger than the one before, though ${what} lay between`, async (t) => {
    const server = await startRedis(t)
    const manager = distLock(server.url)
    const before = await token(manager)

    await happens(server)

    assertGrowing([before, await token(manager)])
  })
}

test('tokens grow with each of many holders', async () => {
  const tokens = []
  for (let turn = 0; turn < 50; turn++) tokens.push(await token())

  assertGrowing(tokens)
})

test('tokens grow with those who are handed the lock, in one process and over two', async () => {
  const managers = [locks, distLock(`unix://${redis.path}`)]
  const held = await locks.acquire('a')
  const tokens = [held.fencingToken]
  const turns = numbers(20).map(async (index) => {
    const lock = await managers[index % 2].acquire('a')
    tokens.push(lock.fencingToken)
    assert.equal(Number(await redis.command('HGET', 'lock:a', 'fence')), lock.fencingToken)
    await lock.release()
  })

  await held.release()
  await Promise.all(turns)

  assert.equal(tokens.length, 21)
  assertGrowing(tokens)
})

test('tokens grow from process to process', async (t) => {
  const tokens = [await token()]
  for (let turn = 0; turn < 2; turn++) {
    const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
      const lock = await distLock(url).acquire('a')
      say('token', lock.fencingToken)
      await lock.release()
    })
    const [, theirs] = await child.heard('token')
    await child
    tokens.push(theirs, await token())
  }

  assertGrowing(tokens)
})

test('tokens grow over resources, too', async () => {
  assertGrowing([await token(locks, 'a'), await token(locks, 'b'), await token(locks, 'a')])
})

test('tokens of locks that are taken in one tick differ', async () => {
  const held = await Promise.all(numbers(200).map((index) => locks.acquire(`a${index}`)))

  assert.equal(new Set(held.map(({ fencingToken }) => fencingToken)).size, 200)
})

test('a token grows after a holder whose ttl ended', async () => {
  const { fencingToken } = await locks.acquire('a', { ttl: 50 })

  assertGrowing([fencingToken, await token()])
})

test('a token grows after a lock that was deleted by hand', async () => {
  const { fencingToken } = await locks.acquire('a')
  const waiting = token()
  await redis.command('DEL', 'lock:a')

  assertGrowing([fencingToken, await waiting])
})

test('a token grows over a holder of version 2', async (t) => {
  const before = await token()
  const kind = clientKinds.find(({ name }) => name === 'redis-3.1')
  const old = distLock2(kind.open(t, { host: '127.0.0.1', port: redis.port }))
  const theirs = await promisify(old.acquire)('a')
  const waiting = token()

  await promisify(theirs.release)()

  assertGrowing([before, await waiting])
})

test('extending a lock leaves its token', async () => {
  const lock = await locks.acquire('a')
  const before = lock.fencingToken

  await lock.extend(60000)

  assert.equal(lock.fencingToken, before)
  assert.equal(await redis.command('HGET', 'lock:a', 'fence'), String(before))
})

test('renewing a lock leaves its token', async () => {
  const lock = await locks.acquire('a', { ttl: 1500, autoExtend: true })
  const { fencingToken } = lock

  await redis.renewed('lock:a')

  assert.equal(lock.fencingToken, fencingToken)
  assert.equal(await redis.command('HGET', 'lock:a', 'fence'), String(fencingToken))
  await lock.release()
})

test('a released lock still tells its token', async () => {
  const lock = await locks.acquire('a')
  const before = lock.fencingToken

  await lock.release()

  assert.equal(lock.fencingToken, before)
})

test('an acquire whose reply was lost has the token that is in Redis', async (t) => {
  const proxy = await startProxy(t, redis)
  const behind = distLock(proxy.url, { commandTimeout: 300 })
  await behind.getAcquiredLock('a round trip')
  proxy.mode = 'swallow replies'
  const acquired = behind.acquire('a')
  await once(proxy, 'reply')
  const granted = await redis.command('HGET', 'lock:a', 'fence')
  proxy.mode = 'pass'
  proxy.hangUp()

  assert.equal(String((await acquired).fencingToken), granted)
})

test('memory: has tokens that grow', async () => {
  const memory = distLock('memory:fencing')

  assertGrowing([await token(memory), await token(memory), await token(memory)])
})

test('without a queue there are no tokens', async () => {
  const { host, port } = redis
  const classic = distLock({ host, port, username: 'classic', password: 'secret' })

  assert.equal(await token(classic), undefined)
})

test('fencingToken is no property of its own', async () => {
  const lock = await locks.acquire('a')

  assert.ok('fencingToken' in lock)
  assert.ok(!Object.keys(lock).includes('fencingToken'))
  assert.ok(!JSON.stringify(lock).includes(String(lock.fencingToken)))
})
