'use strict'

// An outage costs neither the processor nor the network much, however many wait.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { runChild } = require('./support/child.js')
const { startProxy } = require('./support/proxy.js')
const { freePort, startRedis } = require('./support/redis.js')

const CALLERS = 100
const SECOND = 1000

/** Has 100 callers wait for a server, and says what a second of that cost the process, in milliseconds. */
async function waitingCallers({ distLock, say, url, sameResource, callers, second, options }) {
  const locks = distLock(url, { connectTimeout: 60000, ...options })
  for (let at = 0; at < callers; at++) {
    locks.acquire(sameResource ? 'a' : `a${at}`).catch(() => {})
    if (at % 10 === 0) locks.getAcquiredLock(`a${at}`).catch(() => {})
  }
  // The first failures, and what a process does once, are behind it.
  await new Promise((resolve) => setTimeout(resolve, 300))

  const before = process.cpuUsage()
  const started = performance.now()
  say('measuring')
  await new Promise((resolve) => setTimeout(resolve, second))
  const { user, system } = process.cpuUsage(before)
  // It may have been longer.
  const seconds = (performance.now() - started) / second
  say('measured', (user + system) / 1000 / seconds)
  process.exit()
}

const OUTAGES = {
  'nobody listens': async () => ({ url: `redis://127.0.0.1:${await freePort()}` }),
  'every connection is closed': async (t) => {
    const proxy = await startProxy(t, { port: await freePort() })
    proxy.mode = 'hang up'
    return { url: proxy.url, proxy }
  },
  'connections are accepted and never answered': async (t) => {
    const proxy = await startProxy(t, await startRedis(t))
    proxy.mode = 'blackhole'
    return { url: proxy.url, proxy }
  },
  'commands are never answered': async (t) => {
    const proxy = await startProxy(t, await startRedis(t))
    proxy.mode = 'swallow replies'
    return { url: proxy.url, proxy, options: { commandTimeout: 200, connectTimeout: 200 } }
  },
}

for (const [name, begin] of Object.entries(OUTAGES)) {
  for (const sameResource of [true, false]) {
    const which = sameResource ? 'one resource' : 'as many resources'

    test(`${name}: ${CALLERS} callers of ${which} neither spin nor hammer`, async (t) => {
      const { url, proxy, options } = await begin(t)
      const data = { url, sameResource, callers: CALLERS, second: SECOND, options }

      const child = runChild(t, data, waitingCallers)
      await child.heard('measuring')
      const before = proxy?.connections
      const started = performance.now()
      const [, milliseconds] = await child.heard('measured')
      const seconds = Math.max(1, (performance.now() - started) / SECOND)
      const connections = proxy && (proxy.connections - before) / seconds
      const { code, errors } = await child

      assert.equal(code, 0, errors)
      assert.ok(milliseconds < 200, `${milliseconds} ms of processor time in a second`)
      // One in 50 ms.
      assert.ok(!(connections > 25), `${connections} connections in a second`)
    })
  }
}

test('a burst of calls after an outage shares one connection', async (t) => {
  const proxy = await startProxy(t, await startRedis(t))
  const program = async ({ distLock, say, told, url }) => {
    const locks = distLock(url)
    await locks.getAcquiredLock('before')
    say('connected')
    await told('over')
    const calls = Array.from({ length: 500 }, (_, at) => locks.acquire(`a${at}`))
    say('locks', (await Promise.all(calls)).filter(Boolean).length)
  }

  const child = runChild(t, { url: proxy.url }, program)
  await child.heard('connected')
  proxy.hangUp()
  child.tell('over')
  const [, locks] = await child.heard('locks')

  assert.equal(locks, 500)
  assert.equal(proxy.connections, 2)
  assert.equal((await child).code, 0)
})
