'use strict'

// Promise 13 of docs/promises.md: what `autoExtend` renews, until when, and what that costs.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, before, beforeEach, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { inspect } = require('node:util')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { NOISE, eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})
beforeEach(() => redis.command('FLUSHALL'))

const isFree = async () => (await redis.command('EXISTS', 'lock:a')) === 0

const aborted = (signal) => (signal.aborted ? undefined : once(signal, 'abort'))

test('a lock that is renewed outlives a blocked event loop, and nobody else gets in', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, told, url }) => {
    const lock = await distLock(url).acquire('a', { ttl: 1500, autoExtend: true })
    say('holds')
    await told('block')
    say('blocked')
    // Pipes are written to at once.
    const end = performance.now() + 4000
    while (performance.now() < end);
    say('after', lock.remaining, lock.state, lock.signal.aborted)
    await told('release')
    say('released', await lock.release())
    process.exit()
  })
  await child.heard('holds')
  child.tell('block')
  await child.heard('blocked')

  const waiting = locks.acquire('a')
  const first = await Promise.race([
    waiting.then(() => 'somebody else got in'),
    child.heard('after').then(() => 'it held'),
  ])

  assert.equal(first, 'it held')
  const [, remaining, state, isAborted] = await child.heard('after')
  assert.ok(remaining > 0, `${remaining}`)
  assert.deepEqual([state, isAborted], ['held', false])
  child.tell('release')
  assert.deepEqual(await child.heard('released'), ['released', true])
  assert.equal(await (await waiting).release(), true)
})

test('autoExtend of a manager holds for its locks, and a call may differ', async () => {
  const renewing = distLock(redis.url, { ttl: 1500, autoExtend: true })
  const lock = await renewing.acquire('a')
  const other = await renewing.acquire('b', { autoExtend: false })

  // Not before the first one's would have been.
  await aborted(other.signal)

  assert.equal(lock.state, 'held')
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), lock.id)
  await eventually(async () => (await redis.command('EXISTS', 'lock:b')) === 0, 'b is over')
  assert.equal(await lock.release(), true)
})

test('a lock that was waited for is renewed, too', async () => {
  const held = await distLock(`unix://${redis.path}`).acquire('a')
  const ttl = 1500
  const waiting = locks.acquire('a', { ttl, autoExtend: true })
  await eventually(() => redis.command('EXISTS', 'dist-lock:queue:{lock:a}'), 'in the queue')
  await held.release()
  const lock = await waiting

  await sleep(ttl + 100)

  assert.equal(lock.state, 'held')
  assert.equal(await lock.release(), true)
})

test('a lock is renewed at a third of its ttl, not more often', async (t) => {
  const monitor = await redis.monitor()
  t.after(() => monitor.stop())
  const ttl = 1500
  const lock = await locks.acquire('a', { ttl, autoExtend: true })

  const started = performance.now()
  await sleep(2 * ttl)
  const lines = await monitor.lines()
  const thirds = (performance.now() - started) / (ttl / 3)
  await lock.release()

  const renewals = lines.filter((line) => /lua\] "PEXPIRE" "lock:a"/i.test(line)).length - 1
  assert.ok(renewals >= 2 && renewals <= thirds + 2, `${renewals} renewals in ${thirds} thirds`)
})

test('extending a lock that is renewed changes what it is renewed to', async () => {
  const ttl = 1500
  const lock = await locks.acquire('a', { ttl, autoExtend: true })

  await lock.extend(60000)

  assert.ok((await redis.command('PTTL', 'lock:a')) > 50000)
  await sleep(ttl / 3 + 100)
  assert.ok((await redis.command('PTTL', 'lock:a')) > 50000, 'a renewal made it shorter')
  assert.equal(lock.ttl, 60000)
  await lock.release()
})

test('maxHold ends a lock that is renewed', async () => {
  const [ttl, maxHold] = [1000, 2500]
  const lock = await locks.acquire('a', { ttl, autoExtend: true, maxHold })
  const started = performance.now()
  const fired = aborted(lock.signal)
  const waiting = distLock(`unix://${redis.path}`).acquire('a')

  await waiting
  const took = performance.now() - started
  await fired

  assert.ok(took > maxHold - ttl && took < maxHold + NOISE, `${took} ms`)
  assert.equal(lock.signal.reason.code, 'ERR_LOCK_LOST')
  assert.equal(lock.state, 'lost')
})

test('maxHold is no limit to a lock that is not renewed', async () => {
  const lock = await locks.acquire('a', { ttl: 60000, maxHold: 50 })

  await sleep(100)

  assert.equal(lock.state, 'held')
  assert.ok((await redis.command('PTTL', 'lock:a')) > 50000)
})

test('a release ends renewal', async (t) => {
  const [lock, other] = await Promise.all(
    ['a', 'b'].map((name) => locks.acquire(name, { ttl: 1200, autoExtend: true })),
  )
  await lock.release()
  const monitor = await redis.monitor()
  t.after(() => monitor.stop())

  const of = async (key) => (await monitor.lines()).filter((line) => line.includes(`"${key}"`))
  await eventually(async () => (await of('lock:b')).length > 6, 'the other is renewed')

  assert.deepEqual(await of('lock:a'), [])
  await other.release()
})

test('a lock whose handle was collected is renewed no more', async (t) => {
  const program = async ({ distLock, say, told, url }) => {
    const locks = distLock(url)
    const options = { ttl: 1500, autoExtend: true }
    await locks.acquire('a', options)
    const kept = await locks.acquire('b', options)
    // A signal that somebody keeps is no handle.
    const { signal } = await locks.acquire('c', options)
    say('holds')
    const collecting = setInterval(() => global.gc(), 20)
    await told('end')
    clearInterval(collecting)
    say('kept', kept.state, signal.aborted)
    process.exit()
  }
  const child = runChild(t, { url: redis.url }, program, ['--expose-gc'])
  await child.heard('holds')

  await eventually(isFree, 'it is free')
  const isFreeToo = async () => (await redis.command('EXISTS', 'lock:c')) === 0
  await eventually(isFreeToo, 'it is free, though its signal was kept')

  assert.equal(await redis.command('EXISTS', 'lock:b'), 1)
  child.tell('end')
  const [, state, isAborted] = await child.heard('kept')
  assert.deepEqual([state, isAborted], ['held', true])
})

test('a lock of a worker that was terminated is renewed no more', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ say, thread, told, url }) => {
    const worker = thread({ url }, async ({ distLock, say, url }) => {
      globalThis.lock = await distLock(url).acquire('a', { ttl: 1500, autoExtend: true })
      say('holds')
      setInterval(() => {}, 1000)
    })
    await worker.heard('holds')
    say('holds')
    await told('terminate')
    await worker.terminate()
    say('terminated')
    await told('end')
    process.exit()
  })
  await child.heard('holds')
  await redis.renewed('lock:a')

  child.tell('terminate')
  await child.heard('terminated')

  await eventually(isFree, 'it is free')
  child.tell('end')
})

test('a lock that is renewed does not keep its process alive', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
    globalThis.lock = await distLock(url).acquire('a', { ttl: 60000, autoExtend: true })
    globalThis.lock.signal.addEventListener('abort', () => say('aborted'))
    say('holds')
  })

  const { code, signal, said, errors } = await child

  assert.deepEqual([code, signal, said, errors], [0, null, [['holds']], ''])
})

test('a lock in memory: has a lease, is renewed, and is lost', async () => {
  const memory = distLock('memory:leases')
  const renewed = await memory.acquire('b', { ttl: 1200, autoExtend: true })
  const lock = await memory.acquire('a', { ttl: 1200 })
  assert.ok(lock.remaining > 0 && lock.state === 'held')

  // Not before the first one's would have been.
  await aborted(lock.signal)

  assert.equal(lock.signal.reason.code, 'ERR_LOCK_LOST')
  assert.equal(renewed.state, 'held')
  assert.equal(await renewed.release(), true)
})

test('a thousand locks that are renewed cost a few commands each time', async (t) => {
  const options = { ttl: 2400, autoExtend: true }
  const held = await Promise.all(
    Array.from({ length: 1000 }, (_, index) => locks.acquire(`a${index}`, options)),
  )
  const monitor = await redis.monitor()
  t.after(() => monitor.stop())

  await sleep(options.ttl + 200)
  const sent = (await monitor.lines()).filter((line) => / "evalsha" /i.test(line))

  assert.ok(held.every(({ state }) => state === 'held'))
  // Each is renewed four times at most, 64 in a script when they are due together.
  assert.ok(sent.length < 1000, `${sent.length} commands`)
  await Promise.all(held.map((lock) => lock.release()))
})

const WRONG = [
  ...[null, 1, 0, 'true', '', {}, () => {}].map((value) => ['autoExtend', value, 'TypeError']),
  ...[null, NaN, '5', true, {}, 5n].map((value) => ['maxHold', value, 'TypeError']),
  ...[0, -1, 0.5, -Infinity].map((value) => ['maxHold', value, 'RangeError']),
]

for (const [option, value, name] of WRONG) {
  test(`${option}: ${inspect(value)} is a ${name}, and nothing is written`, async () => {
    const expected = { name, message: new RegExp(`^Expected \`${option}\` to be `) }

    await assert.rejects(locks.acquire('a', { [option]: value }), expected)
    await assert.rejects(distLock(redis.url, { [option]: value }).acquire('a'), expected)

    assert.deepEqual(await redis.lockKeys(), [])
  })
}

test('autoExtend and maxHold that are undefined are not set', async () => {
  const unset = { autoExtend: undefined, maxHold: undefined }

  const lock = await distLock(redis.url, { ...unset }).acquire('a', unset)

  assert.equal(await lock.release(), true)
})
