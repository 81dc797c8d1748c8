'use strict'

// `minReplicas`: a lock counts only once replicas have it.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('../index.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')
const { startSentinels, until } = require('./support/sentinels.js')

let primary
let replica
let link // What the replica hears of the primary comes through it.
const users = { default: 'on nopass ~* &* +@all', idle: 'on >pw ~* &* +@all -wait' }
const starting = (async () => {
  primary = await startRedis({ after }, { users, args: ['--repl-diskless-sync-delay', '0'] })
  link = await startProxy({ after }, primary)
  replica = await startRedis({ after }, { replicaOf: link })
})()
before(async () => {
  await starting
  await linkIsUp()
})

const linkIsUp = () =>
  until(async () => /master_link_status:up/.test(await replica.command('INFO', 'replication')))

const managerWith = (options) =>
  distLock(primary.url, { minReplicas: 1, replicaTimeout: 10_000, ...options })

test('a lock is granted, and extended, once a replica has it', async (t) => {
  link.delay.reply = 100
  t.after(() => (link.delay.reply = 0))
  const locks = managerWith()

  const lock = await locks.acquire('proven')
  assert.equal(await replica.command('HGET', lock.key, 'id'), lock.id)

  assert.equal(await lock.extend(90_000), true)
  assert.ok((await replica.command('PTTL', lock.key)) > 60_000)
  assert.equal(await lock.release(), true)
})

test('several locks at once are granted once a replica has all of them', async (t) => {
  link.delay.reply = 100
  t.after(() => (link.delay.reply = 0))

  const both = await managerWith().acquire(['one', 'other'])

  for (const { key, id } of both.locks) assert.equal(await replica.command('HGET', key, 'id'), id)
  assert.equal(await both.release(), true)
})

test('a lock that another process hands on is granted once a replica has it', async (t) => {
  link.delay.reply = 100
  t.after(() => (link.delay.reply = 0))
  const holder = await distLock(primary.url).acquire('handed')
  const waiting = managerWith().acquire('handed')
  await until(() => primary.command('EXISTS', 'dist-lock:queue:{lock:handed}'))

  await holder.release()
  const lock = await waiting

  assert.equal(await replica.command('HGET', lock.key, 'id'), lock.id)
  assert.ok((await replica.command('PTTL', lock.key)) > 20_000, 'it is still the claim')
  assert.equal(await lock.release(), true)
})

test('with too few replicas there is an error that counts them, and no lock is left', async () => {
  const locks = managerWith({ minReplicas: 2, replicaTimeout: 1500 })

  await assert.rejects(locks.acquire('few'), {
    code: 'ERR_LOCK_NOT_REPLICATED',
    message: '1 of 2 replicas have it: no more of them answered within 1500 ms',
    wanted: 2,
    got: 1,
    resource: 'few',
  })
  await until(async () => (await primary.command('EXISTS', 'lock:few')) === 0)
})

test('a user who may not wait for replicas is told so', async () => {
  const url = primary.url.replace('//', '//idle:pw@')
  const locks = distLock(url, { minReplicas: 1 })

  const failure = await locks.acquire('refused').catch((error) => error)

  assert.equal(failure.code, 'ERR_LOCK_NOT_REPLICATED')
  assert.deepEqual([failure.wanted, failure.got], [1, 0])
  assert.match(failure.cause.message, /^NOPERM /)
  await until(async () => (await primary.command('EXISTS', 'lock:refused')) === 0)
})

test('an extension that no replica has is an error, and is not believed in', async (t) => {
  t.after(restore)
  const lock = await managerWith({ replicaTimeout: 600 }).acquire('extended', { ttl: 10_000 })
  await cut()

  await assert.rejects(lock.extend(90_000), { code: 'ERR_LOCK_NOT_REPLICATED', got: 0 })
  assert.ok(lock.remaining < 10_000)
  await assert.rejects(lock.extend(5000), { code: 'ERR_LOCK_NOT_REPLICATED', got: 0 })

  // The primary was told all the same.
  assert.ok(lock.remaining < 5000)
  assert.equal(lock.state, 'held')
  assert.equal(await lock.release(), true)
})

test('a renewal that no replica has is tried until the lease is over, and no longer believed', async (t) => {
  t.after(restore)
  const locks = managerWith({ replicaTimeout: 600, autoExtend: true })
  const short = await locks.acquire('short', { ttl: 2400 })
  const long = await locks.acquire('long', { ttl: 12_000 })
  await cut()
  await assert.rejects(long.extend(12_000), { code: 'ERR_LOCK_NOT_REPLICATED' })

  await until(() => short.signal.aborted)
  assert.equal(short.signal.reason.code, 'ERR_LOCK_LOST')
  assert.ok((await primary.command('PTTL', short.key)) > 0, 'the primary was told')
  await until(() => long.state === 'suspect')
  await restore()

  await until(() => long.state === 'held')
  await sleep(long.remaining / 2)
  assert.equal(long.state, 'held')
  assert.equal(await long.release(), true)
})

test('the same program without `minReplicas` waits for no replica', async (t) => {
  t.after(restore)
  await cut()
  const monitor = await primary.monitor()

  await (await distLock(primary.url).acquire('alone')).release()

  assert.ok(!(await monitor.lines()).some((line) => /"WAIT"/i.test(line)))
  monitor.stop()
})

test('a failover loses locks, but none that was granted with `minReplicas`', async (t) => {
  const sentinels = await startSentinels(t)
  const old = await sentinels.primary()
  const [other] = await sentinels.replicas()
  let goesOn = true
  const granted = { plain: [], proven: [] }
  const tried = { plain: 0, proven: 0 }
  const managers = {
    plain: distLock(sentinels.url, { keyPrefix: 'plain:' }),
    proven: distLock(sentinels.url, { keyPrefix: 'proven:', minReplicas: 1, replicaTimeout: 100 }),
  }
  const take = async (kind) => {
    for (let number = 0; goesOn; number++) {
      const lock = await managers[kind].acquire(`${number}`, { timeout: 1000 }).catch(() => null)
      if (lock && goesOn) granted[kind].push(lock)
      tried[kind]++
      await sleep(1)
    }
  }

  const taking = ['plain', 'proven'].flatMap((kind) => [take(kind)])
  await until(() => granted.plain.length > 20 && granted.proven.length > 20)
  await sentinels.cut(other)
  const before = { ...tried }
  await until(() => tried.plain > before.plain + 20 && tried.proven > before.proven + 5)
  goesOn = false
  await old.stop()
  const primary = await sentinels.switchedFrom(old)
  await Promise.all(taking)

  const unknown = async (locks) => {
    const ids = await Promise.all(locks.map(({ key }) => primary.command('HGET', key, 'id')))
    return locks.filter((lock, index) => ids[index] !== lock.id)
  }
  assert.ok((await unknown(granted.plain)).length >= 20, 'the failover lost nothing at all')
  assert.deepEqual(await unknown(granted.proven), [])
})

test('`minReplicas` and `replicaTimeout` are checked, and refused where nothing is replicated', async () => {
  const acquire = (options, source = primary.url) => distLock(source, options).acquire('a')

  await assert.rejects(acquire({ minReplicas: '1' }), {
    name: 'TypeError',
    message: /`minReplicas`/,
  })
  await assert.rejects(acquire({ minReplicas: 1.5 }), {
    name: 'RangeError',
    message: /`minReplicas`/,
  })
  await assert.rejects(acquire({ minReplicas: -1 }), RangeError)
  await assert.rejects(acquire({ replicaTimeout: 0 }), RangeError)
  await assert.rejects(acquire({ minReplicas: 1 }, 'memory:'), {
    name: 'TypeError',
    message: '`minReplicas` needs a Redis with replicas: `memory:` has none',
  })
})

/** The replica hears nothing any more. */
async function cut() {
  link.refuse()
  link.hangUp()
  await until(async () => /connected_slaves:0/.test(await primary.command('INFO', 'replication')))
}

async function restore() {
  if (!link.isListening) await link.accept()
  await linkIsUp()
}
