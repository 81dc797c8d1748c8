'use strict'

// Sentinels: the primary is found, and followed when it is another.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('../index.js')
const { clientKinds } = require('./support/clients.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis, freePort, certificates } = require('./support/redis.js')
const { startSentinels, until } = require('./support/sentinels.js')

let shared // Nobody makes it change its primary.
const starting = startSentinels({ after })
before(async () => (shared = await starting))

let count = 0

async function assertLocks(source, server) {
  const lock = await distLock(source).acquire(`sentinel:${++count}`, { timeout: 20_000 })
  assert.equal(await server.command('HGET', lock.key, 'id'), lock.id)
  assert.equal(await lock.release(), true)
}

const connections = async (server) =>
  (await server.command('CLIENT', 'LIST')).split('\n').filter((line) => /name=dist-lock/.test(line))

test('a URL and settings of sentinels lead to the primary', async () => {
  const primary = await shared.primary()

  await assertLocks(shared.url, primary)
  await assertLocks({ sentinels: shared.addresses, name: shared.name }, primary)
})

for (const kind of clientKinds.filter(({ name }) => name.startsWith('io'))) {
  test(`${kind.name}: a client of sentinels leads to the primary`, async (t) => {
    const options = { sentinels: shared.addresses, name: shared.name, lazyConnect: true }

    await assertLocks(kind.open(t, options), await shared.primary())
  })
}

test('a sentinel that is down and one that hangs do not keep the others from being asked', async (t) => {
  const hangs = await startProxy(t, shared.sentinels[0])
  hangs.mode = 'blackhole'
  const down = { host: '127.0.0.1', port: await freePort() }
  const sentinels = [down, hangs, ...shared.addresses].map(({ host, port }) => ({ host, port }))

  await assertLocks({ sentinels, name: shared.name }, await shared.primary())
})

test('a primary that no sentinel knows is an error that says so, at the deadline', async () => {
  const locks = distLock({ sentinels: shared.addresses, name: 'another' }, { connectTimeout: 1500 })
  const matches = (error) =>
    error.code === 'ERR_LOCK_UNREACHABLE' &&
    error.cause.message === 'no sentinel knows a primary called "another"'

  await assert.rejects(locks.acquire('a'), matches)
  await assert.rejects(
    distLock(shared.url.replace('mymaster', 'another')).acquire('a', { timeout: 1500 }),
    matches,
  )
})

test('where the primary is reached under another address, `natMap` tells', async (t) => {
  const primary = await shared.primary()
  const outside = await startProxy(t, primary)
  const natMap = { [`127.0.0.1:${primary.port}`]: { host: '127.0.0.1', port: outside.port } }

  await assertLocks({ sentinels: shared.addresses, name: shared.name, natMap }, primary)

  assert.ok(outside.connections > 0)
})

test('a sentinel that names a replica is not believed', async () => {
  const [replica] = await shared.replicas()
  const primary = await shared.primary()
  const natMap = { [`127.0.0.1:${primary.port}`]: { host: '127.0.0.1', port: replica.port } }
  const settings = { sentinels: shared.addresses, name: shared.name, natMap }

  await assert.rejects(distLock(settings, { connectTimeout: 1500 }).getAcquiredLock('a'), (error) =>
    error.cause.message.endsWith('no primary, its role is slave'),
  )
})

test('sentinels have credentials of their own', async (t) => {
  const sentinel = { args: ['--sentinel', '--requirepass', 'hush'] }
  const one = await startSentinels(t, {
    replicas: 0,
    sentinels: 1,
    sentinel: { ...sentinel, password: 'hush' },
  })
  const settings = { sentinels: one.addresses, name: one.name }
  const code = (expected) => (error) =>
    error.redisCode === expected && !`${error.message} ${error.cause.message}`.includes('wrong')

  await assertLocks({ ...settings, sentinelPassword: 'hush' }, one.servers[0])
  await assertLocks(`${one.url}&sentinelPassword=hush`, one.servers[0])
  await assert.rejects(distLock(settings).acquire('a'), code('NOAUTH'))
  await assert.rejects(
    distLock({ ...settings, sentinelPassword: 'wrong' }).acquire('a'),
    code('WRONGPASS'),
  )
})

test('TLS to the primary and to the sentinels is as each is configured', async (t) => {
  const { ca } = certificates()
  const tls = { tls: true, args: ['--tls-replication', 'yes'] }
  const sentinel = { tls: true, args: ['--sentinel', '--tls-replication', 'yes'] }
  const one = await startSentinels(t, { replicas: 0, sentinels: 1, server: tls, sentinel })
  const sentinels = one.sentinels.map(({ host, tlsPort }) => ({ host, port: tlsPort }))
  const settings = { sentinels, name: one.name, tls: { ca: ca.cert }, sentinelTLS: { ca: ca.cert } }

  await assertLocks(settings, one.servers[0])
  await assertLocks({ ...settings, sentinels: one.addresses, sentinelTLS: false }, one.servers[0])
  for (const untrusted of [{ tls: true }, { sentinelTLS: true }]) {
    const locks = distLock({ ...settings, ...untrusted })
    await assert.rejects(locks.acquire('a'), /cannot trust Redis/)
  }
})

test('a failover on command is followed: locks stay held, waiters in order, the old primary is left', async (t) => {
  const sentinels = await startSentinels(t)
  const old = await sentinels.primary()
  const locks = distLock(sentinels.url)
  const renewed = await locks.acquire('renewed', { ttl: 5000, autoExtend: true })
  const held = await locks.acquire('held')
  const order = []
  const waiting = ['first', 'second', 'third'].map(async (name) => {
    const lock = await locks.acquire('held', { owner: name })
    order.push(name)
    await lock.release()
  })
  const [replica] = await sentinels.replicas()
  await until(() => replica.command('ZCARD', 'dist-lock:queue:{lock:held}').then((n) => n >= 3))

  const primary = await sentinels.failover()
  await until(async () => (await connections(old)).length === 0)

  // Sentinels make it a replica seconds later; what it grants until then is lost.
  assert.match(await old.command('INFO', 'replication'), /role:master/)
  assert.equal(await held.extend(30_000), true)
  assert.equal(await held.release(), true)
  await Promise.all(waiting)
  assert.deepEqual(order, ['first', 'second', 'third'])
  await sleep(renewed.remaining)
  assert.equal(renewed.state, 'held')
  assert.equal(await primary.command('HGET', 'lock:renewed', 'id'), renewed.id)
  assert.equal(await renewed.release(), true)
})

test('a primary that dies is followed: waiters wait on, and holders learn whether their lock is lost', async (t) => {
  const sentinels = await startSentinels(t)
  const primary = await sentinels.primary()
  const [replica] = await sentinels.replicas()
  const locks = distLock(sentinels.url, { ttl: 60_000 })
  const kept = await locks.acquire('kept')
  const waiting = locks.acquire('kept', { owner: 'waiter' })
  await until(() => replica.command('EXISTS', 'dist-lock:queue:{lock:kept}'))
  await sentinels.cut(replica)
  const forgotten = await locks.acquire('forgotten')

  await primary.stop()
  assert.equal(await sentinels.switchedFrom(primary), replica)

  await until(() => forgotten.state === 'lost')
  assert.equal(forgotten.signal.reason.code, 'ERR_LOCK_LOST')
  assert.equal(forgotten.remaining, 0)
  const another = await locks.acquire('forgotten')
  assert.ok(another.fencingToken > forgotten.fencingToken)
  assert.equal(kept.state, 'held')
  assert.equal(await kept.release(), true)
  assert.equal((await waiting).owner, 'waiter')
})

test('after a failover nothing is granted for `failoverSettleTime`, and what is held stays held', async (t) => {
  const settle = 2500
  const sentinels = await startSentinels(t)
  const old = await sentinels.primary()
  const locks = distLock(sentinels.url, { failoverSettleTime: settle, connectTimeout: 1800 })
  const held = await locks.acquire('held')
  const waiting = locks.acquire('held')
  const [replica] = await sentinels.replicas()
  await until(() => replica.command('EXISTS', 'dist-lock:queue:{lock:held}'))

  const failover = sentinels.failover()
  await until(async () => (await connections(old)).length === 0)
  const changed = performance.now()
  const patient = locks.acquire('free')
  await assert.rejects(locks.acquire('free', { timeout: 0 }), {
    code: 'ERR_LOCK_UNREACHABLE',
    message: /another server took over, and it settles for \d+ ms more/,
  })
  await assert.rejects(locks.acquire('free', { timeout: 100 }), { code: 'ERR_LOCK_UNREACHABLE' })
  assert.equal(held.state, 'held')
  assert.equal(await held.release(), true)

  await failover
  const granted = await Promise.all([patient, waiting])
  // What it was told before it left the old one may have been a little earlier.
  assert.ok(performance.now() - changed > settle - 1200)
  for (const lock of granted) assert.equal(await lock.release(), true)
})

test('a server that was started again without its data settles, too', async (t) => {
  const redis = await startRedis(t)
  const locks = distLock(redis.url, { failoverSettleTime: 1400 })
  await (await locks.acquire('a')).release()

  const started = performance.now()
  await redis.restart()
  const lock = await locks.acquire('b')

  assert.ok(performance.now() - started > 1400)
  assert.equal(lock.state, 'held')
})
