'use strict'

// A lock that is held with a majority of independent servers; its rules are tested in tests/quorum.rs,
// on a paused clock.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { inspect } = require('node:util')
const { describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const Redis = require('ioredis-5')
const distLock = require('../index.js')
const { runChild } = require('./support/child.js')
const { NOISE, eventually, failure } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

const LIMITS = { connectTimeout: 4000, nodeTimeout: 1000 }

async function startServers(t, count = 3, options = {}) {
  return Promise.all(Array.from({ length: count }, () => startRedis(t, options)))
}

/** A manager of its own on these servers. */
function manager(t, servers, options) {
  const locks = distLock(
    servers.map(({ url }) => url),
    { ...LIMITS, ...options },
  )
  t.after(() => locks.close())
  return locks
}

/** Waits until each server says that this id holds the key; null: nobody. */
function holds(servers, id, key = 'lock:a') {
  const is = async () => {
    const ids = await Promise.all(servers.map((server) => server.command('HGET', key, 'id')))
    return ids.every((one) => one === id)
  }
  return eventually(is, `${key} held by ${id}`)
}

describe('the list of servers', () => {
  const THREE = ['memory:quorum-1', 'memory:quorum-2', 'memory:quorum-3']

  test('may be of one, and of an even number', async () => {
    for (const list of [THREE.slice(0, 1), THREE.slice(0, 2)]) {
      const lock = await distLock(list).acquire('a')
      assert.equal(await distLock(list).acquire('a', { maxRetries: 0 }), false)
      assert.equal(await lock.release(), true)
    }
  })

  test('gives what the manual says: no queue, no token, everything else', async () => {
    const locks = distLock(THREE)
    const { mode, reason } = await locks.info()
    assert.equal(mode, 'classic')
    assert.equal(reason, 'several independent servers have no queue together')

    const lock = await locks.acquire('a', { owner: 'ada', ttl: 5000 })
    assert.equal(lock.fencingToken, undefined)
    assert.equal(lock.state, 'held')
    assert.ok(lock.remaining > 3000)
    const seen = await locks.getAcquiredLock('a')
    assert.deepEqual([seen.id, seen.owner], [lock.id, 'ada'])
    assert.equal(await lock.extend(10000), true)
    assert.ok(lock.remaining > 8000)
    assert.equal(await lock.release(), true)
    assert.equal(await locks.getAcquiredLock('a'), null)
  })

  const refused = [
    [[], /^Expected `source` to be a client .*; got an empty list$/],
    [['memory:a', 7], /^Expected `source\[1\]` to be a client .*; got the number 7$/],
    [['memory:a', ['memory:b']], /^Expected `source\[1\]` to be a client .*$/],
    [['memory:a', 'memory:a'], /^Expected the servers .* independent .*; got memory:a twice$/],
    [
      ['redis://:hush@a:7/1', { host: 'a', port: 7 }, 'redis://b'],
      /independent of each other, which a server is not of itself; got a:7 twice$/,
    ],
    [['unix:///a', { path: '/a' }], /got \/a twice$/],
    [[{ host: 'a', keyPrefix: 'x:' }, 'redis://b'], /the same key prefix.*; got "x:" and ""$/],
  ]
  for (const [list, message] of refused) {
    test(`${inspect(list).replace('hush', '…')} is refused`, () => {
      assert.throws(
        () => distLock(list),
        (error) => {
          assert.match(error.message, message)
          assert.doesNotMatch(inspect(error), /hush/)
          return error instanceof TypeError
        },
      )
    })
  }

  test('a `nodeTimeout` that is none is refused', async () => {
    const refusal = (nodeTimeout) => failure(distLock(THREE, { nodeTimeout }).acquire('a'), 0)
    assert.match((await refusal('1s')).message, /^Expected `nodeTimeout` to be a number/)
    assert.match((await refusal(0)).message, /^Expected `nodeTimeout` to be 1 or more/)
  })
})

test('a lock is on all servers, and excludes those who lock on one of them only', async (t) => {
  const servers = await startServers(t)
  const locks = manager(t, servers)
  const lock = await locks.acquire('a')
  await holds(servers, lock.id)
  const alone = distLock(servers[0].url)
  t.after(() => alone.close())

  assert.equal(await alone.acquire('a', { maxRetries: 0 }), false)
  const waiting = alone.acquire('a')
  assert.equal(await lock.release(), true)
  const its = await waiting
  assert.ok(its, 'it was handed the lock, or took it')

  const keys = () => Promise.all(servers.map((server) => server.lockKeys()))
  assert.deepEqual(await keys(), [['lock:a'], [], []])
  await its.release()
})

test('a server that is killed, one that hangs and one that is restarted empty change nothing, one at a time', async (t) => {
  const servers = await startServers(t)
  const locks = manager(t, servers)
  const isUsed = (server) => {
    const key = 'lock:b'
    return eventually(async () => {
      const lock = await locks.acquire('b')
      const id = await server.command('HGET', key, 'id')
      await lock.release()
      return id === lock.id
    }, 'a server that is back')
  }
  const asUsual = async () => {
    const started = performance.now()
    for (let number = 0; number < 20; number++) {
      const lock = await locks.acquire('a')
      assert.equal(await locks.acquire('a', { maxRetries: 0 }), false)
      assert.equal((await locks.getAcquiredLock('a')).id, lock.id)
      assert.equal(await lock.extend(20000), true)
      assert.equal(await lock.release(), true)
    }
    return performance.now() - started
  }
  // Far less than if each call waited for one that does not answer.
  const limit = 20 * LIMITS.nodeTimeout
  await asUsual()
  await servers[0].stop()
  assert.ok((await asUsual()) < limit, 'with one that is down')
  await servers[0].start()
  await isUsed(servers[0])

  await servers[1].pause()
  assert.ok((await asUsual()) < limit, 'with one that hangs')
  servers[1].resume()
  await isUsed(servers[1])

  await holds(servers, null)
})

test('a lock is lost with its majority, and its holder hears of it in time', async (t) => {
  const servers = await startServers(t)
  const locks = manager(t, servers)
  const ttl = 2000
  const lock = await locks.acquire('a', { ttl, autoExtend: true })
  await holds(servers, lock.id)
  await servers[0].stop()
  await sleep(ttl + 200)
  assert.equal(lock.state, 'held')

  await servers[2].stop()
  const lost = performance.now()
  await once(lock.signal, 'abort')

  assert.equal(lock.signal.reason.code, 'ERR_LOCK_LOST')
  assert.ok(performance.now() - lost < ttl + NOISE)
  assert.equal(lock.remaining, 0)
})

test('without a majority each call fails in time, and says why for each server', async (t) => {
  const servers = await startServers(t)
  const options = { connectTimeout: 500 }
  const urls = servers.map(({ url }) => url.replace('redis://', 'redis://:hush@'))
  const locks = distLock(urls, { ...LIMITS, ...options })
  t.after(() => locks.close())
  await servers[0].stop()
  await servers[1].stop()

  const error = await failure(locks.acquire('a'), 500)
  assert.match(error.code, /^ERR_LOCK_(UNREACHABLE|REDIS)$/)
  assert.doesNotMatch(inspect(error), /hush/)

  const plain = manager(t, servers, options)
  for (const call of [
    () => plain.acquire('a'),
    () => plain.releaseLock('a', 'some-id'),
    () => plain.extendLock('a', 'some-id', 1000),
    () => plain.getAcquiredLock('a'),
    () => plain.info(),
  ]) {
    const error = await failure(call(), 500 + LIMITS.nodeTimeout)
    assert.ok(error instanceof distLock.LockError)
    assert.match(error.code, /^ERR_LOCK_(UNREACHABLE|UNKNOWN)$/)
    for (const { port } of servers.slice(0, 2)) {
      assert.match(error.cause.message, new RegExp(`127.0.0.1:${port}: `))
    }
  }
  const controller = new AbortController()
  const waiting = plain.acquire('a', { signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await holds(servers.slice(2), null)
})

test('processes that contend lose no update, while a server is restarted empty and another one hangs', async (t) => {
  const servers = await startServers(t, 5)
  const counter = await startRedis(t)
  const rounds = 25
  const children = Array.from({ length: 4 }, () =>
    runChild(
      t,
      { urls: servers.map(({ url }) => url), counter: counter.url, rounds },
      async ({ distLock, say, urls, counter, rounds }) => {
        const Redis = require('ioredis-5')
        const redis = new Redis(counter)
        const locks = distLock(urls, { connectTimeout: 10000 })
        for (let round = 0; round < rounds; round++) {
          const lock = await locks.acquire('a', { ttl: 10000 })
          const value = Number(await redis.get('count'))
          await new Promise((resolve) => setTimeout(resolve, 2))
          await redis.set('count', value + 1)
          // Where too few servers answer in time it ends with its ttl at the latest.
          const released = await lock.release().catch(({ code }) => code)
          if (released !== true && released !== 'ERR_LOCK_UNKNOWN') say('not released', released)
        }
        redis.disconnect()
      },
    ),
  )
  await sleep(500)
  await servers[0].restart()
  await servers[4].pause()
  await sleep(500)
  servers[4].resume()

  for (const { code, said, errors } of await Promise.all(children)) {
    assert.equal(code, 0, errors)
    assert.deepEqual(said, [])
  }
  assert.equal(await counter.command('GET', 'count'), String(4 * rounds))
})

test('a lock that is not released ends with its ttl', async (t) => {
  const servers = await startServers(t)
  const [one, other] = [manager(t, servers), manager(t, servers)]
  const started = performance.now()
  await one.acquire('a', { ttl: 600 })

  const lock = await other.acquire('a')

  assert.ok(performance.now() - started > 590)
  assert.equal((await one.getAcquiredLock('a')).id, lock.id)
})

test('clients are followed as they change, and the manager ends when no majority of them is open', async (t) => {
  const servers = await startServers(t)
  const clients = servers.map(
    ({ port }) => new Redis({ port, lazyConnect: true, keyPrefix: 'app:' }),
  )
  const locks = distLock(clients, LIMITS)
  const first = await locks.acquire('a')
  await holds(servers, first.id, 'app:lock:a')
  for (const client of clients) await client.select(1)
  const second = await locks.acquire('a')
  assert.notEqual(second.id, first.id, 'another database')

  const held = manager(t, servers, { keyPrefix: 'app:lock:' })
  const other = await held.acquire('b')
  for (const client of clients) await client.select(0)
  const waiting = failure(locks.acquire('b'), LIMITS.connectTimeout)
  clients[1].disconnect()
  assert.equal(await locks.acquire('b', { maxRetries: 0 }), false, 'two are open')
  clients[0].disconnect()

  assert.equal((await waiting).code, 'ERR_LOCK_CLOSED')
  assert.equal((await failure(locks.acquire('c'), 0)).code, 'ERR_LOCK_CLOSED')
  await other.release()
  clients[2].disconnect()
})
