'use strict'

// What a program is told besides the answers to its calls: warnings, once each, and the state of its
// connection.

const assert = require('node:assert/strict')
const channels = require('node:diagnostics_channel')
const { after, before, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')
const { freePort, startRedis } = require('./support/redis.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})

const warnings = []
process.on('warning', (warning) => warnings.push(warning))
const warningsOf = (code) => warnings.filter((warning) => warning.code === code)
const warned = (code) => eventually(() => warningsOf(code)[0], code)

/** What happens to the connections of a server. */
function hearConnections(t, server) {
  const messages = []
  const listen = (message) => {
    if (message.server.endsWith(`:${server.port}`)) messages.push(message)
  }
  channels.subscribe('dist-lock:connection', listen)
  t.after(() => channels.unsubscribe('dist-lock:connection', listen))
  return messages
}

test('ordinary work is no reason to warn', async () => {
  const own = []
  for (let count = 0; count < 50; count++)
    own.push(locks.acquire(`a${count}`, { autoExtend: true }))
  for (const lock of await Promise.all(own)) await lock.release()

  await sleep(10)
  assert.deepEqual(
    warnings.filter(({ name }) => name === 'DistLockWarning'),
    [],
  )
})

test('a ttl of which much has passed when the lock is granted is warned of, once', async () => {
  for (let count = 0; count < 2; count++) {
    await redis.pause()
    const acquiring = locks.acquire('short', { ttl: 2000, timeout: 20_000 })
    await sleep(1200)
    redis.resume()
    await (await acquiring).release()
  }

  const { name, message, detail } = await warned('DIST_LOCK_SHORT_TTL')
  assert.equal(name, 'DistLockWarning')
  assert.match(message, /^a lock with a ttl of 2000 ms was granted \d+ ms after it was asked for$/)
  assert.match(detail, /ten times/)
  assert.equal(warningsOf('DIST_LOCK_SHORT_TTL').length, 1)
})

test('a lock that comes to its maxHold is warned of before it is lost', async () => {
  const lock = await locks.acquire('long', { ttl: 1500, autoExtend: true, maxHold: 2500 })

  const { message } = await warned('DIST_LOCK_MAX_HOLD')

  assert.equal(message, 'lock:long is about to have been held for its maxHold of 2500 ms')
  await lock.release()
})

test('a step of the clock of Redis is warned of, once', async () => {
  const lock = await locks.acquire('clock')
  await lock.release()
  // What a clock that is set looks like: the next token is the time, or one more than the last.
  await redis.command('SET', 'dist-lock:fence', String(lock.fencingToken + 3600e6))
  for (let count = 0; count < 3; count++) await (await locks.acquire('clock')).release()

  const { message } = await warned('DIST_LOCK_CLOCK_STEP')
  assert.match(message, /^the clock of Redis was set forward by 3[56]\d{5} ms or more$/)
  assert.equal(warningsOf('DIST_LOCK_CLOCK_STEP').length, 1)
})

test('a server that goes and comes back is told once each, whatever connects to it', async (t) => {
  const server = await startRedis(t)
  const messages = hearConnections(t, server)
  const states = () => messages.map(({ state }) => state)
  const ours = distLock(server.url)

  const lock = await ours.acquire('a')
  const waiting = ours.acquire('a')
  await eventually(() => server.command('EXISTS', 'dist-lock:queue:{lock:a}'), 'in the queue')
  assert.deepEqual(states(), ['connected'])
  await server.stop()
  await eventually(() => states().length === 2, 'the loss')
  await server.start()
  await (await waiting).release()
  await lock.release()

  assert.deepEqual(states(), ['connected', 'disconnected', 'connected'])
  assert.equal(typeof messages[1].reason, 'string')
  assert.equal(messages[2].reason, undefined)
})

test('a server that cannot be reached is told once, with the reason', async (t) => {
  const port = await freePort()
  const messages = hearConnections(t, { port })

  const url = `redis://:hunter2@127.0.0.1:${port}`
  await assert.rejects(distLock(url, { connectTimeout: 1500 }).acquire('a'))

  assert.equal(messages.length, 1)
  const { server, state, reason } = messages[0]
  assert.deepEqual([server, state], [`127.0.0.1:${port}`, 'disconnected'])
  assert.match(reason, /refused/)
  assert.ok(!JSON.stringify(messages).includes('hunter2'))
})
