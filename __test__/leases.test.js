'use strict'

// Promises 2 and 6 of docs/promises.md: what a holder may believe, and for how long.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { NOISE, eventually } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

const { LockError, LockLostError } = distLock

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})
beforeEach(() => redis.command('FLUSHALL'))

/** A process does nothing else meanwhile. */
function block(milliseconds) {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

function assertLost(reason, resource = 'a') {
  assert.ok(reason instanceof LockLostError, String(reason))
  assert.ok(reason instanceof LockError)
  assert.equal(reason.name, 'LockLostError')
  assert.equal(reason.code, 'ERR_LOCK_LOST')
  assert.equal(reason.resource, resource)
}

const aborted = (signal) => (signal.aborted ? undefined : once(signal, 'abort'))

// What a lock tells.

test('a lock that was just acquired is held for a little less than its ttl', async () => {
  const lock = await locks.acquire('a', { ttl: 10000 })

  assert.equal(lock.state, 'held')
  assert.equal(lock.ttl, 10000)
  assert.equal(lock.resource, 'a')
  assert.ok(lock.remaining < 10000 && lock.remaining > 5000, `${lock.remaining}`)
  assert.ok(lock.remaining <= (await redis.command('PTTL', 'lock:a')), 'it says more than Redis')
})

test('what remains of a lock gets less', async () => {
  const lock = await locks.acquire('a')
  const before = lock.remaining

  block(5)

  assert.ok(lock.remaining <= before - 5)
})

test('extending a lock changes what remains of it and its ttl', async () => {
  const lock = await locks.acquire('a', { ttl: 10000 })

  await lock.extend(60000)
  assert.ok(lock.remaining > 50000 && lock.remaining < 60000, `${lock.remaining}`)
  assert.equal(lock.ttl, 60000)

  await lock.extend(5000)
  assert.ok(lock.remaining < 5000, `${lock.remaining}`)
  assert.equal(lock.ttl, 5000)
})

const RELEASES = {
  'lock.release()': (lock) => lock.release(),
  'lock.release(callback)': (lock) => new Promise((resolve) => lock.release(resolve)),
  'locks.releaseLock()': (lock) => locks.releaseLock('a', lock.id),
  'the lock that was looked up': async () => (await locks.getAcquiredLock('a')).release(),
  'a negative extend': (lock) => lock.extend(-1),
}

for (const [how, release] of Object.entries(RELEASES)) {
  test(`a lock that was released by ${how} says so, and is not lost`, async () => {
    const lock = await locks.acquire('a')

    await release(lock)

    assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
    assert.equal(lock.remaining, 0)
    assert.equal(lock.state, 'released')
    assert.equal(lock.signal.aborted, false)
  })
}

test('a lock whose ttl is over is lost', async () => {
  const lock = await locks.acquire('a', { ttl: 50 })

  await eventually(() => lock.remaining === 0, 'nothing remains')

  assert.equal(lock.state, 'lost')
  assertLost(lock.signal.reason)
})

test('a lock that is found to be gone by a release is lost', async () => {
  const lock = await locks.acquire('a')
  await redis.command('DEL', 'lock:a')

  assert.equal(await lock.release(), false)

  assert.equal(lock.state, 'lost')
  assert.equal(lock.remaining, 0)
})

test('an extension that Redis refuses leaves a lock as it was', async () => {
  const lock = await locks.acquire('a', { ttl: 60000 })
  const { signal } = lock

  for (let turn = 0; turn < 10; turn++) {
    await assert.rejects(lock.extend(0.5), { code: 'ERR_LOCK_REDIS' })
  }
  // Were its end told, it would be by now.
  await locks.getAcquiredLock('a round trip')

  assert.equal(signal.aborted, false)
  assert.equal(lock.state, 'held')
  assert.ok(lock.remaining > 50000, `${lock.remaining}`)
  assert.equal(await lock.extend(90000), true)
  assert.equal(await locks.acquire('a', { maxRetries: 0 }), false)
  assert.equal(await lock.release(), true)
})

test('whoever asks why a lock is lost as soon as it is known to be is told the truth', async () => {
  const lock = await locks.acquire('a')
  await redis.command('DEL', 'lock:a')
  assert.equal(await lock.release(), false)

  assert.match(lock.signal.reason.message, /Redis does not know it any more/)
})

test('a lock that is found to be gone by an extend is lost, and its signal fires', async () => {
  const lock = await locks.acquire('a')
  const fired = aborted(lock.signal)
  await redis.command('DEL', 'lock:a')

  assert.equal(await lock.extend(5000), false)

  await fired
  assertLost(lock.signal.reason)
  assert.match(lock.signal.reason.message, /does not know it/)
  assert.equal(lock.state, 'lost')
})

test('what a lock tells is not enumerable, and may be written as any property', async () => {
  const lock = await locks.acquire('a')
  const told = ['resource', 'ttl', 'fencingToken', 'remaining', 'state', 'signal']

  for (const name of told) {
    assert.ok(name in lock, name)
    assert.ok(!Object.keys(lock).includes(name), name)
  }
  for (const name of told) lock[name] = 'mine'
  for (const name of told) assert.equal(lock[name], 'mine', name)
})

// When it ends.

test('a signal is the same each time', async () => {
  const lock = await locks.acquire('a')

  assert.ok(lock.signal instanceof AbortSignal)
  assert.equal(lock.signal, lock.signal)
  assert.equal(lock.signal.aborted, false)
})

test('a signal fires when the ttl is over, not after it', async () => {
  const ttl = 300
  const started = performance.now()
  const lock = await locks.acquire('a', { ttl })

  await aborted(lock.signal)

  const took = performance.now() - started
  assertLost(lock.signal.reason)
  assert.match(lock.signal.reason.message, /lease is over/)
  assert.ok(took > ttl * 0.9 - 5 && took < ttl + NOISE, `${took} ms`)
})

test('a signal fires when a lock that is renewed is deleted by hand', async () => {
  const lock = await locks.acquire('a', { ttl: 3000, autoExtend: true })
  const fired = aborted(lock.signal)

  await redis.command('DEL', 'lock:a')

  await fired
  assertLost(lock.signal.reason)
  assert.match(lock.signal.reason.message, /does not know it/)
  assert.equal(lock.state, 'lost')
  assert.equal(lock.remaining, 0)
})

test('a signal fires when a lock that is renewed is taken by somebody else', async () => {
  const lock = await locks.acquire('a', { ttl: 3000, autoExtend: true })
  const fired = aborted(lock.signal)

  await redis.command('HSET', 'lock:a', 'id', 'another')

  await fired
  assertLost(lock.signal.reason)
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), 'another', 'it was taken back')
})

const OUTAGES = {
  'Redis has stopped': async (t) => {
    const server = await startRedis(t)
    return { url: server.url, begin: () => server.pause(), end: () => server.resume() }
  },
  'nothing gets through': async (t) => {
    const proxy = await startProxy(t, redis)
    return { url: proxy.url, begin: () => (proxy.mode = 'blackhole'), end: () => {} }
  },
  'nobody listens': async (t) => {
    const proxy = await startProxy(t, redis)
    const begin = () => {
      proxy.refuse()
      proxy.hangUp()
    }
    return { url: proxy.url, begin, end: () => proxy.accept() }
  },
}

for (const [what, setUp] of Object.entries(OUTAGES)) {
  for (const autoExtend of [false, true]) {
    const which = autoExtend ? 'a lock that is renewed' : 'a lock'

    test(`the signal of ${which} fires at the end of its lease while ${what}`, async (t) => {
      const ttl = 1200
      const { url, begin, end } = await setUp(t)
      const lock = await distLock(url).acquire('a', { ttl, autoExtend })
      const fired = aborted(lock.signal)
      await begin()
      const left = lock.remaining
      const started = performance.now()

      await fired

      const took = performance.now() - started
      assertLost(lock.signal.reason)
      // It may have been renewed once more as the outage began.
      assert.ok(took > left / 2 && took < ttl + NOISE, `${took} ms, ${left} remained`)
      assert.equal(lock.state, 'lost')
      await end()
    })
  }
}

test('a renewal that fails makes a lock suspect, and one that succeeds held again', async (t) => {
  const proxy = await startProxy(t, redis)
  const options = { commandTimeout: 500, connectTimeout: 2000 }
  const lock = await distLock(proxy.url, options).acquire('a', { ttl: 6000, autoExtend: true })

  proxy.mode = 'hang up'
  proxy.hangUp()
  await eventually(() => lock.state === 'suspect', 'suspect')
  assert.ok(lock.remaining > 0)
  assert.equal(lock.signal.aborted, false)
  proxy.mode = 'pass'
  await eventually(() => lock.state === 'held', 'held again')

  assert.ok(lock.remaining > 3000, `${lock.remaining}`)
  assert.equal(await lock.release(), true)
})

test('the signal of a lock that was released does not fire', async () => {
  const lock = await locks.acquire('a', { ttl: 1500 })
  const renewed = await locks.acquire('b', { ttl: 1500, autoExtend: true })
  const signals = [lock.signal, renewed.signal]
  await Promise.all([lock.release(), renewed.release()])

  // Its lease ends after theirs would have.
  const later = await locks.acquire('c', { ttl: 1600 })
  await aborted(later.signal)

  for (const { aborted } of signals) assert.equal(aborted, false)
  assert.equal(lock.signal.aborted, false)
  assert.equal(lock.state, 'released')
})

test('a listener that throws is an uncaughtException, and other signals fire', async (t) => {
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, until, url }) => {
    const caught = []
    process.on('uncaughtException', (error) => caught.push(error.message))
    const locks = distLock(url)
    const held = await Promise.all(
      ['a', 'b', 'c'].map((name) => locks.acquire(name, { ttl: 2000, autoExtend: name === 'b' })),
    )
    for (const lock of held) {
      lock.signal.addEventListener('abort', () => {
        throw new Error(lock.resource)
      })
    }
    await locks.releaseLock('b', held[1].id)
    await until(() => caught.length === 2)
    say('caught', caught.sort())
    say('goes on', await (await locks.acquire('d')).release())
  })

  const { code, said, errors } = await child
  const expected = [
    ['caught', ['a', 'c']],
    ['goes on', true],
  ]
  assert.deepEqual([code, said, errors], [0, expected, ''])
})

// A blocked event loop.

test('right after the event loop was blocked beyond the lease a lock says that it is lost', async () => {
  const lock = await locks.acquire('a', { ttl: 1200 })
  const watched = await locks.acquire('b', { ttl: 1200 })
  const { signal } = watched
  assert.equal(lock.state, 'held')

  block(1250)

  for (const { remaining, state, signal } of [lock, watched]) {
    assert.deepEqual([remaining, state, signal.aborted], [0, 'lost', true])
    assert.equal(signal.reason.code, 'ERR_LOCK_LOST')
  }
  assert.equal(watched.signal, signal)
})
