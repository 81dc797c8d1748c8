'use strict'

// A few calls at a time go over a connection of the calling thread's own, many at a time and those
// that wait over the process's; nobody must be able to tell but by the clock.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { test, before, after } = require('node:test')
const { setTimeout: sleep, setImmediate: turn } = require('node:timers/promises')
const distLock = require('../index.js')
const { runChild } = require('./support/child.js')
const { assertLockError, eventually, failure } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

const isFree = async (name) => (await redis.command('EXISTS', `lock:${name}`)) === 0

/** Blocks the event loop. */
function block(milliseconds) {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

test('a release comes before the acquire that was asked for after it, whichever way they go', async () => {
  const [one, another] = [distLock(redis.url), distLock(redis.url)]
  const counts = [0, 1, 5, 8, 9, 40, 70, 150]
  let seed = 7
  const anyOf = (values) => values[(seed = (seed * 48271) % 2147483647) % values.length]
  const noise = () => {
    for (let left = anyOf(counts); left > 0; left--) one.getAcquiredLock(`noise-${left}`)
  }
  const pause = () => anyOf([() => {}, () => Promise.resolve(), turn, () => sleep(1)])()

  let lock = await one.acquire('order', { maxRetries: 0 })
  for (let round = 0; round < 400; round++) {
    noise()
    await pause()
    noise()
    const released = lock.release()
    noise()
    await pause()
    const acquired = anyOf([one, another]).acquire('order', { maxRetries: 0 })
    noise()

    lock = await acquired
    assert.ok(lock, `in round ${round} the acquire overtook the release`)
    assert.equal(await released, true)
  }
  await lock.release()
})

test('many calls do not overtake a release that is on its way', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url)
  const many = (name) =>
    Array.from({ length: 20 }, (_, at) => locks.acquire(at ? `${at}` : name, { maxRetries: 0 }))
  const [lock] = await Promise.all(many('overtaken'))
  await locks.getAcquiredLock('before')

  proxy.delay.request = 100
  const released = lock.release()
  await once(proxy, 'request')
  proxy.delay.request = 0
  const [acquired] = await Promise.all(many('overtaken'))

  assert.ok(acquired, 'the acquire overtook the release')
  assert.equal(await released, true)
})

test('of acquires in one tick the first gets the lock, whichever way they go', async () => {
  const [one, another] = [distLock(redis.url), distLock(redis.url)]
  for (const count of [2, 8, 9, 70, 200]) {
    const locks = await Promise.all(
      Array.from({ length: count }, (_, at) =>
        (at % 2 ? one : another).acquire('first', { maxRetries: 0 }),
      ),
    )

    assert.deepEqual(
      locks.map(Boolean),
      locks.map((_, at) => at === 0),
    )
    await locks[0].release()
  }
})

test('a script that Redis forgot is sent again, before what was asked for later', async () => {
  const locks = distLock(redis.url)
  const lock = await locks.acquire('forgotten')
  await redis.command('SCRIPT', 'FLUSH')

  const released = lock.release()
  await turn()
  const again = locks.acquire('forgotten', { maxRetries: 0 })

  assert.equal(await released, true)
  assert.ok(await again)
})

test('a reply that came while the event loop was blocked is not overdue', async (t) => {
  const proxy = await startProxy(t, redis)
  const { said } = await runChild(t, { url: proxy.url }, async ({ distLock, say, url }) => {
    const locks = distLock(url, { commandTimeout: 1000 })
    await locks.getAcquiredLock('before')
    const acquired = locks.acquire('blocked', { maxRetries: 0 })
    setImmediate(() => {
      const end = Date.now() + 2500
      while (Date.now() < end);
    })
    say(Boolean(await acquired))
  })

  assert.deepEqual(said, [[true]])
  assert.equal(proxy.connections, 1)
})

test('a reply that does not come in time is an unknown outcome, and the connection is given up', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url, { commandTimeout: 600, connectTimeout: 1000 })
  const lock = await locks.acquire('silent')
  proxy.mode = 'swallow replies'

  const error = await failure(lock.release(), 1600)
  proxy.mode = 'pass'

  assertLockError(error, { code: 'ERR_LOCK_UNKNOWN', cause: 'ETIMEDOUT', resource: 'silent' })
  assert.equal(await locks.getAcquiredLock('silent'), null)
})

test('steps under way when the server hangs up are tried again, and the next ones go on', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url)
  await locks.getAcquiredLock('before')
  proxy.mode = 'swallow replies'
  const acquired = ['a', 'b', 'c'].map((name) => locks.acquire(`hung-up-${name}`))
  await once(proxy, 'reply')

  proxy.mode = 'pass'
  proxy.hangUp()

  for (const lock of await Promise.all(acquired)) assert.equal(await lock.release(), true)
  assert.equal(await locks.getAcquiredLock('after'), null)
})

test('what the system does not take at once is sent on, in order and without blocking', async (t) => {
  const server = await startRedis(t)
  const locks = distLock(server.url, { commandTimeout: 60000 })
  await locks.getAcquiredLock('before')
  const names = ['x', 'y', 'z'].map((letter) => letter.repeat(1024 * 1024))
  const owner = 'o'.repeat(4 * 1024 * 1024)
  await server.pause()
  // To block is to wait for the server, which goes on only after this; or nobody would ever know.
  const resume = `setTimeout(() => process.kill(${server.pid}, 'SIGCONT'), 30000)`
  const rescue = spawn(process.execPath, ['--eval', resume])
  t.after(() => rescue.kill())

  const acquired = names.map((name) => locks.acquire(name, { owner, maxRetries: 0 }))
  await turn()
  const holder = locks.getAcquiredLock(names[0])
  await sleep(100)
  assert.equal(rescue.exitCode, null, 'the event loop was blocked')
  server.resume()

  const all = await Promise.all(acquired)
  assert.equal((await holder)?.id, all[0].id)
  for (const lock of all) assert.equal(await lock.release(), true)
  const clients = await server.command('CLIENT', 'LIST')
  assert.equal(clients.split(' name=dist-lock ').length, 2, 'it went another way')
})

test('an abort of an acquire that is under way ends it at once and gives the lock back', async (t) => {
  const proxy = await startProxy(t, redis)
  const locks = distLock(proxy.url)
  await locks.getAcquiredLock('before')
  const monitor = await redis.monitor()
  t.after(() => monitor.stop())
  const controller = new AbortController()
  let pass
  proxy.delay.request = new Promise((resolve) => (pass = resolve))
  const acquired = locks.acquire('aborted', { signal: controller.signal })
  await once(proxy, 'request')

  controller.abort(new Error('enough'))

  assert.equal((await failure(acquired, 50)).message, 'enough')
  pass()
  const isWrite = (line) => /lua\] "HM?SET"/i.test(line) && line.includes('aborted')
  await eventually(async () => (await monitor.lines()).some(isWrite), 'granted')
  await eventually(() => isFree('aborted'), 'released')
  assert.equal(proxy.connections, 1)
})

test('a worker that ends with an acquire under way leaves no lock behind', async (t) => {
  const proxy = await startProxy(t, redis)
  const child = runChild(t, { url: proxy.url }, async ({ thread, say, told, url }) => {
    const worker = thread({ url }, async ({ distLock, say, url }) => {
      const locks = distLock(url)
      await locks.getAcquiredLock('before')
      require('node:worker_threads').parentPort.on('message', () => locks.acquire('terminated'))
      say('connected')
    })
    await worker.heard('connected')
    say('connected')
    await told('acquire')
    worker.postMessage('acquire')
    await told('terminate')
    await worker.terminate()
    say('terminated')
    await told('end')
  })
  await child.heard('connected')
  proxy.mode = 'swallow replies'
  child.tell('acquire')
  await once(proxy, 'reply')
  proxy.mode = 'pass'
  assert.equal(await isFree('terminated'), false)
  child.tell('terminate')
  await child.heard('terminated')

  await eventually(() => isFree('terminated'), 'released')
})

test('a deadline ends a call whose reply the blocked event loop cannot read', async () => {
  const locks = distLock(redis.url)
  await locks.getAcquiredLock('before')
  const acquired = locks.acquire('deadline', { timeout: 20 })
  setImmediate(() => block(200))

  const outcome = await acquired.then(
    (lock) => lock.release(),
    (error) => error.code,
  )

  assert.ok([true, 'ERR_LOCK_UNKNOWN'].includes(outcome), String(outcome))
  await eventually(() => isFree('deadline'), 'released')
})

test('where Node cannot read from it there is no such connection, and all works', async (t) => {
  const { said, errors } = await runChild(t, { url: redis.url }, async ({ say, url }) => {
    Object.defineProperty(process, 'versions', { value: { ...process.versions, bun: '1.3.0' } })
    for (const file of Object.keys(require.cache)) delete require.cache[file]
    say('ready')
    require('node:net').Socket = class {
      constructor() {
        throw new Error('no sockets here')
      }
    }
    const locks = require('./index.js')(url)
    const lock = await locks.acquire('elsewhere')
    say(await lock.release())
  })

  assert.equal(errors, '')
  assert.deepEqual(said, [['ready'], [true]])
})
