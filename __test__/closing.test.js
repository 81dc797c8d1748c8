'use strict'

// `locks.close()` ends a manager, and `await using` does it at the end of a block.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { clientKinds } = require('./support/clients.js')
const { runChild } = require('./support/child.js')
const { NOISE, eventually } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')
const CLOSED = { name: 'LockError', code: 'ERR_LOCK_CLOSED', message: 'the manager was closed' }

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

const exists = (key) => redis.command('EXISTS', key)
const isFree = async () => (await exists('lock:a')) === 0

test('close() tells who waits that the manager was closed', async () => {
  const locks = distLock(redis.url)
  await distLock(redis.url).acquire('a')
  const called = new Promise((resolve) => locks.acquire('a', (...args) => resolve(args)))
  const waiting = [locks.acquire('a'), locks.acquire('a', { timeout: 60000 })]
  await locks.getAcquiredLock('a round trip')

  assert.equal(await locks.close(), undefined)

  for (const call of waiting) await assert.rejects(call, { ...CLOSED, resource: 'a' })
  const [error, ...others] = await called
  assert.equal(error.code, 'ERR_LOCK_CLOSED')
  assert.deepEqual(others, [])
})

test('close() tells who waits for Redis that the manager was closed', async (t) => {
  const proxy = await startProxy(t, redis)
  proxy.mode = 'blackhole'
  const locks = distLock(proxy.url)
  const waiting = locks.acquire('a')
  await once(proxy, 'connection')

  const started = performance.now()
  await locks.close()

  await assert.rejects(waiting, CLOSED)
  assert.ok(performance.now() - started < NOISE)
})

test('who is told that the manager was closed leaves nothing behind', async () => {
  const locks = distLock(redis.url)
  const held = await distLock(redis.url).acquire('a')
  const waiting = locks.acquire('a').catch(() => {})
  const queue = 'dist-lock:queue:{lock:a}'
  await eventually(() => exists(queue), 'in the queue')

  await locks.close()
  await waiting

  await eventually(async () => (await exists(queue)) === 0, 'the queue is gone')
  await held.release()
  assert.deepEqual(await redis.lockKeys(), [])
})

test('after close() every call fails, and says so', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a')
  await locks.close()

  await assert.rejects(locks.acquire('b'), { ...CLOSED, resource: 'b' })
  await assert.rejects(locks.getAcquiredLock('a'), CLOSED)
  await assert.rejects(locks.releaseLock('a', lock.id), CLOSED)
  await assert.rejects(locks.extendLock('a', lock.id, 1000), CLOSED)
  await assert.rejects(locks.info(), CLOSED)
  await assert.rejects(lock.release(), CLOSED)
  await assert.rejects(lock.extend(1000), CLOSED)
  const called = await new Promise((resolve) => locks.acquire('b', (...args) => resolve(args)))
  assert.deepEqual([called.length, called[0].code], [1, 'ERR_LOCK_CLOSED'])
  assert.deepEqual(await redis.lockKeys(), ['lock:a'])
})

test('after close() a bad argument is still what it was', async () => {
  const locks = distLock(redis.url)
  await locks.close()

  const message = 'resourceName is required and must be a string'
  await assert.rejects(locks.acquire(''), { message })
})

test('a lock that is held lives on after close(), up to its ttl', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a', { ttl: 60000 })

  await locks.close()

  assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id)
  assert.ok((await redis.command('PTTL', 'lock:a')) > 50000)
  assert.equal(lock.state, 'held')
  assert.ok(lock.remaining > 50000)
  assert.equal(lock.signal.aborted, false)
})

test('close() ends renewal', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a', { ttl: 1500, autoExtend: true })
  await redis.renewed('lock:a')

  await locks.close()

  await eventually(isFree, 'it is free')
  assert.equal(lock.state, 'lost')
  assert.equal(lock.signal.aborted, true)
})

test('close({ release: true }) frees all that this manager holds', async () => {
  const locks = distLock(redis.url, { keyPrefix: 'mine:' })
  const held = [
    await locks.acquire('a'),
    await locks.acquire('b', { autoExtend: true }),
    await locks.acquire('c', 'me'),
  ]
  const released = await locks.acquire('d')
  await released.release()
  assert.deepEqual(await redis.lockKeys(), ['mine:a', 'mine:b', 'mine:c'])

  assert.equal(await locks.close({ release: true }), undefined)

  assert.deepEqual(await redis.lockKeys(), [])
  for (const lock of held) {
    assert.equal(lock.remaining, 0)
    assert.equal(lock.state, 'released')
    assert.equal(lock.signal.aborted, false)
  }
})

test('close({ release: true }) hands on to who waits in another manager', async () => {
  const [locks, others] = [distLock(redis.url), distLock(redis.url)]
  await locks.acquire('a')
  const waiting = others.acquire('a')
  await others.getAcquiredLock('a round trip')

  await locks.close({ release: true })

  assert.equal(await (await waiting).release(), true)
})

const SOURCES = {
  'one URL': () => redis.url,
  'one client': (t) =>
    clientKinds
      .find(({ name }) => name === 'ioredis-5')
      .open(t, { host: '127.0.0.1', port: redis.port, disconnectTimeout: 20 }),
}

for (const [what, open] of Object.entries(SOURCES)) {
  test(`of two managers made from ${what}, closing one leaves the other alone`, async (t) => {
    const source = open(t)
    const [locks, others] = [distLock(source), distLock(source)]
    await locks.acquire('a')
    const theirs = await others.acquire('b', { ttl: 1500, autoExtend: true })
    const waiting = others.acquire('a')

    await locks.close({ release: true })
    await (await waiting).release()
    await redis.renewed('lock:b')

    assert.deepEqual(await redis.lockKeys(), ['lock:b'])
    assert.equal(theirs.state, 'held')
    assert.equal(await theirs.release(), true)
    assert.ok(await others.acquire('c'))
  })
}

test('close({ release: true }) does not free what somebody else has by now', async () => {
  const locks = distLock(redis.url)
  await locks.acquire('a')
  await redis.command('HSET', 'lock:a', 'id', 'another')

  await locks.close({ release: true })

  assert.equal(await redis.command('HGET', 'lock:a', 'id'), 'another')
})

test('close({ release: true }) frees what is held in a database that its client has left', async (t) => {
  const client = clientKinds
    .find(({ name }) => name === 'ioredis-5')
    .open(t, { host: '127.0.0.1', port: redis.port, disconnectTimeout: 20 })
  const locks = distLock(client)
  await locks.acquire('a')
  await client.select(3)
  await locks.acquire('b')

  await locks.close({ release: true })

  const three = await redis.connect()
  t.after(() => three.close())
  await three.command('SELECT', 3)
  const keys = [...(await redis.lockKeys()), ...(await three.command('KEYS', 'lock:*'))]
  assert.deepEqual(keys, [])
})

test('close({ release: true }) frees a lock whose acquire was on its way, or ends it', async () => {
  for (let round = 0; round < 20; round++) {
    const locks = distLock(redis.url)
    await locks.getAcquiredLock('a round trip')
    const acquired = locks.acquire('a').catch((error) => error)
    if (round % 2) await new Promise(setImmediate)

    await locks.close({ release: true })

    await acquired
    await eventually(isFree, 'it is free')
  }
})

test('a lock that arrives with the answer whose callback closes the manager is given back', async () => {
  const locks = distLock(redis.url)
  await locks.getAcquiredLock('a round trip')

  const error = await new Promise((resolve) => {
    locks.acquire('b', () => locks.close())
    locks.acquire('a', resolve)
  })

  assert.equal(error?.code, 'ERR_LOCK_CLOSED', 'it did not arrive together, so nothing was tested')
  await eventually(isFree, 'it is free')
})

test('close({ release: true }) fails if Redis cannot be reached, and the manager is closed', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { connectTimeout: 1000, commandTimeout: 1000 })
  await locks.acquire('a')
  proxy.refuse()
  proxy.hangUp()

  await assert.rejects(locks.close({ release: true }), { name: 'LockError' })

  await assert.rejects(locks.acquire('b'), CLOSED)
})

test('closing twice is closing once', async () => {
  const locks = distLock(redis.url)
  await locks.acquire('a')

  await Promise.all([locks.close(), locks.close()])
  await locks.close()

  assert.equal(await exists('lock:a'), 1)
})

test('a manager that was never used can be closed, and opens no connection', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url)

  await locks.close({ release: true })

  assert.equal(proxy.connections, 0)
})

test('close() closes the connections once nobody uses them', async (t) => {
  const server = await startRedis(t)
  const [locks, others] = [distLock(server.url), distLock(server.url)]
  const held = await others.acquire('a')
  assert.equal(await locks.acquire('a', { timeout: 1000 }), false)
  await held.release()
  const connected = async () => (await server.command('CLIENT', 'LIST')).includes('name=dist-lock')

  await locks.close()
  await others.getAcquiredLock('a round trip')
  assert.ok(await connected(), 'the other needs one')
  await others.close()

  await eventually(async () => !(await connected()), 'no connection is left')
})

test('a lock is released at the end of an `await using` block', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a')

  assert.equal(await lock[asyncDispose](), undefined)

  assert.ok(await isFree())
  assert.equal(lock.state, 'released')
})

test('a lock that is lost by the end of an `await using` block is no error', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a')
  await redis.command('DEL', 'lock:a')

  assert.equal(await lock[asyncDispose](), undefined)
})

test('a manager is closed at the end of an `await using` block', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a')

  assert.equal(await locks[asyncDispose](), undefined)

  await assert.rejects(locks.acquire('b'), CLOSED)
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id)
})

test('asyncDispose is no property that shows', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('a')

  assert.equal(typeof locks[asyncDispose], 'function')
  assert.ok(!Object.keys(locks).includes('asyncDispose'))
  assert.deepEqual(Object.getOwnPropertySymbols(lock), [])
})

test('a process that closes on SIGTERM frees its locks, and ends', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
    const locks = distLock(url, { autoExtend: true })
    const timer = setInterval(() => {}, 1000)
    process.once('SIGTERM', async () => {
      await locks.close({ release: true })
      clearInterval(timer)
      say('closed')
    })
    await locks.acquire('a')
    await distLock(url).acquire('b')
    locks.acquire('b').catch((error) => say('waiting', error.code))
    say('holds')
  })
  await child.heard('holds')
  const waiting = distLock(redis.url).acquire('a')

  await child.kill('SIGTERM')

  assert.equal(await (await waiting).release(), true)
  const { code, signal, said, errors } = await child
  assert.deepEqual([code, signal, errors], [0, null, ''])
  assert.deepEqual(said.sort(), [['closed'], ['holds'], ['waiting', 'ERR_LOCK_CLOSED']])
})

for (const release of [null, 1, 'true', {}, () => {}]) {
  test(`close({ release: ${typeof release} }) is a TypeError, and closes nothing`, async () => {
    const locks = distLock(redis.url)

    await assert.rejects(locks.close({ release }), {
      name: 'TypeError',
      message: /^Expected `release` to be a boolean; got /,
    })

    assert.ok(await locks.acquire('a'))
  })
}

test('close({ release: undefined }) and close(undefined) release nothing', async () => {
  for (const [index, options] of [undefined, {}, { release: undefined }].entries()) {
    const locks = distLock(redis.url)
    await locks.acquire(`a${index}`)

    await locks.close(options)
  }

  assert.deepEqual(await redis.lockKeys(), ['lock:a0', 'lock:a1', 'lock:a2'])
})
