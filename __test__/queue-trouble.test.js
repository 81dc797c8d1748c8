'use strict'

// Promises 8 to 10 of docs/promises.md: who waits gets the lock whatever becomes of others who wait, of
// its holder, of messages and of the server.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { NOISE } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')
const { another, numbers, queueOf, queued, takeTurn, time } = require('./support/turns.js')

/** What a waiter that was granted the lock without hearing of it costs the others, and a beat. */
const CLAIM = 2000
const BEAT = 1000
const QUEUE = queueOf('a')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

/** Waits for a lock that its parent holds. */
async function waiter({ distLock, say, told, url }) {
  const lock = await distLock(url).acquire('a')
  say('got', await lock.release())
  await told('end')
  process.exit()
}

/** A lock that we hold, a child that waits for it, and us behind it. */
async function waitBehindAChild(t) {
  const locks = distLock(redis.url)
  const held = await locks.acquire('a', { ttl: 60000 })
  const child = runChild(t, { url: redis.url }, waiter)
  await queued(redis, 1)
  const waiting = locks.acquire('a')
  await queued(redis, 2)
  return { held, child, waiting }
}

test('a waiter whose process was killed is passed over', async (t) => {
  const { held, child, waiting } = await waitBehindAChild(t)

  await child.kill('SIGKILL')
  await held.release()

  const took = await time(waiting)
  assert.ok(took < CLAIM + BEAT + NOISE, `${took} ms`)
  assert.equal(await (await waiting).release(), true)
  assert.deepEqual(await redis.lockKeys(), [])
})

test('a waiter whose process is stopped costs the others one claim, and waits on', async (t) => {
  const { held, child, waiting } = await waitBehindAChild(t)

  await child.kill('SIGSTOP')
  await held.release()
  const took = await time(waiting)
  await child.kill('SIGCONT')
  await queued(redis, 1)

  assert.ok(took < CLAIM + BEAT + NOISE, `${took} ms`)
  const { id, release } = await waiting
  assert.equal(await redis.command('HGET', 'lock:a', 'id'), id, 'the stopped process took it back')
  assert.equal(await release(), true)
  assert.deepEqual(await child.heard('got'), ['got', true])
  child.tell('end')
})

test('a holder whose process was killed is followed at the end of its ttl', async (t) => {
  const ttl = 3000
  const child = runChild(t, { url: redis.url, ttl }, async ({ distLock, say, told, url, ttl }) => {
    const lock = await distLock(url, { ttl }).acquire('a')
    say('holds', lock.id)
    await told('never')
  })
  await child.heard('holds')
  const waiting = distLock(redis.url).acquire('a')
  await queued(redis, 1)

  await child.kill('SIGKILL')

  const took = await time(waiting)
  assert.ok(took < ttl + BEAT + NOISE, `${took} ms`)
  assert.equal(await (await waiting).release(), true)
})

const TROUBLES = {
  'DEL of the lock': () => redis.command('DEL', 'lock:a'),
  'DEL of the queue': async (held) => {
    await redis.command('DEL', QUEUE)
    await held.release()
  },
  FLUSHALL: () => redis.command('FLUSHALL'),
  'SCRIPT FLUSH': async (held) => {
    await redis.command('SCRIPT', 'FLUSH')
    await held.release()
  },
  'CLIENT KILL of commands': async (held) => {
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await held.release()
  },
  'CLIENT KILL of messages': async (held) => {
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await held.release()
  },
  'CLIENT PAUSE': async (held) => {
    await redis.command('CLIENT', 'PAUSE', 500)
    await held.release()
  },
}

for (const [what, happens] of Object.entries(TROUBLES)) {
  test(`a wait goes on over ${what}, and ends with the lock`, async () => {
    const held = await another(redis).acquire('a')
    const locks = distLock(redis.url)
    const order = []
    const turns = numbers(3).map((index) => takeTurn(order, index, locks.acquire('a')))
    await queued(redis, 3)

    await happens(held)

    const took = await time(Promise.all(turns))
    assert.ok(took < CLAIM + BEAT + 2 * NOISE, `${took} ms`)
    assert.deepEqual(order, numbers(3))
    assert.deepEqual(await redis.lockKeys(), [])
  })
}

test('a wait goes on over a restart of an empty Redis, and ends with the lock', async (t) => {
  const server = await startRedis(t)
  const locks = distLock(server.url)
  await locks.acquire('a', { ttl: 60000 })
  const waiting = numbers(3).map(() => locks.acquire('a'))
  await queued(server, 3)

  await server.restart()

  const served = waiting.map(async (waiter) => (await waiter).release())
  assert.deepEqual(await Promise.all(served), [true, true, true])
})

test('a server that is full refuses the grant and not the release, and the wait goes on', async () => {
  const holder = await distLock(redis.url).acquire('a')
  const locks = another(redis)
  const waiting = locks.acquire('a')
  await queued(redis, 1)

  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    assert.equal(await holder.release(), true)
    assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }

  assert.equal(await (await waiting).release(), true)
})
