'use strict'

// What nobody holds any more is gone: connections, memory, listeners.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { runChild } = require('./support/child.js')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after }, { args: ['--maxclients', '200'] })
before(async () => (redis = await starting))

async function connections() {
  const list = await redis.command('CLIENT', 'LIST')
  return list.split('\n').filter((line) => line.includes(' name=dist-lock ')).length
}

/** Makes 10,000 managers, uses each and drops it; says how much memory that costs per manager. */
async function makeAndDrop({ distLock, say, kind, url, port }) {
  const Redis = require('ioredis-5')
  const client = new Redis({ port, host: '127.0.0.1', db: 1 })
  const listeners = () =>
    client.eventNames().reduce((sum, name) => sum + client.listenerCount(name), 0)
  const sources = {
    url: () => url,
    settings: () => ({ host: '127.0.0.1', port, db: 2 }),
    client: () => client,
    memory: (at) => `memory:${at}`,
  }

  async function make(from, to) {
    for (let batch = from; batch < to; batch += 100) {
      const uses = Array.from({ length: 100 }, async (_, at) => {
        const locks = distLock(sources[kind](batch + at), { keyPrefix: `${kind}${at}:` })
        const lock = await locks.acquire(`${kind}-${at}`, { maxRetries: 10 })
        if (!(await lock.release())) throw new Error('it could not be released')
      })
      await Promise.all(uses)
      if (batch % 1000 === 0) await collect()
    }
    await collect()
  }

  async function collect() {
    for (let turn = 0; turn < 3; turn++) {
      global.gc()
      await new Promise(setImmediate)
    }
  }

  /** What is not the heap, whose reserve comes and goes. */
  const native = ({ rss, heapTotal }) => rss - heapTotal

  await client.ping()
  await make(0, 3000)
  const before = { ...process.memoryUsage(), listeners: listeners() }
  await make(3000, 13000)
  const after = { ...process.memoryUsage(), listeners: listeners() }

  say('grown', native(after) - native(before), after.heapUsed - before.heapUsed)
  say('listeners', after.listeners - before.listeners)
  client.disconnect()
  // Alive, so that nothing but the end of the managers closes their connections.
  const alive = setInterval(() => global.gc(), 50)
  process.once('SIGTERM', () => clearInterval(alive))
}

for (const kind of ['url', 'settings', 'client', 'memory']) {
  test(`10,000 managers from a ${kind} leave no memory, listeners or connections`, async (t) => {
    const data = { kind, url: redis.url, port: redis.port }
    const child = runChild(t, data, makeAndDrop, ['--expose-gc'])
    const [, outside, heap] = await child.heard('grown')
    const [, listeners] = await child.heard('listeners')

    assert.ok(heap < 2e6, `the heap has grown by ${heap} bytes`)
    assert.ok(outside < 10e6, `memory outside of the heap has grown by ${outside} bytes`)
    assert.equal(listeners, 0)
    await eventually(async () => (await connections()) === 0, 'the connections are closed')
  })
}

test('managers with different settings close their connections when they are dropped', async (t) => {
  const program = async ({ distLock, say, url }) => {
    for (let batch = 0; batch < 10; batch++) {
      const uses = Array.from({ length: 15 }, async (_, db) => {
        const locks = distLock(`${url}/${db}`, { commandTimeout: 1000 + batch })
        await (await locks.acquire('a')).release()
      })
      await Promise.all(uses)
      global.gc()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    say('dropped')
    setInterval(() => global.gc(), 50)
  }
  const child = runChild(t, { url: redis.url }, program, ['--expose-gc'])
  // More than `maxclients`, if they were kept.
  await child.heard('dropped')

  await eventually(async () => (await connections()) === 0, 'the connections are closed')
})

test('a manager that is dropped while a lock of it is held can still release it', async (t) => {
  const program = async ({ distLock, say, url }) => {
    const lock = await distLock(url).acquire('dropped')
    for (let turn = 0; turn < 10; turn++) {
      global.gc()
      await new Promise(setImmediate)
    }
    say('released', await lock.release())
  }

  const { said } = await runChild(t, { url: redis.url }, program, ['--expose-gc'])

  assert.deepEqual(said, [['released', true]])
})

test('100,000 calls that fail, are aborted or run out of time leave no memory', async (t) => {
  const program = async ({ distLock, say }) => {
    const native = ({ rss, heapTotal }) => rss - heapTotal
    const locks = distLock('memory:')
    await locks.acquire('taken')
    async function fail(calls) {
      for (let at = 0; at < calls; at += 500) {
        const controller = new AbortController()
        const { signal } = controller
        require('node:events').setMaxListeners(0, signal)
        const some = Array.from({ length: 250 }, () => locks.acquire('taken', { signal }))
        const others = Array.from({ length: 250 }, () => locks.acquire('taken', { timeout: 1 }))
        await Promise.allSettled(others)
        controller.abort()
        await Promise.allSettled(some)
      }
      global.gc()
      await new Promise(setImmediate)
      global.gc()
    }
    await fail(30000)
    const before = process.memoryUsage()
    await fail(100000)
    const after = process.memoryUsage()
    say('grown', native(after) - native(before), after.heapUsed - before.heapUsed)
  }
  const { said, errors } = await runChild(t, {}, program, ['--expose-gc'])

  assert.equal(errors, '')
  const [[, outside, heap]] = said
  assert.ok(heap < 2e6, `the heap has grown by ${heap} bytes`)
  assert.ok(outside < 10e6, `memory outside of the heap has grown by ${outside} bytes`)
})
