'use strict'

// What a process with managers costs, shares and waits for.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { runChild } = require('./support/child.js')
const { eventually } = require('./support/outcome.js')
const { startProxy } = require('./support/proxy.js')
const { startRedis } = require('./support/redis.js')

const FOR_MESSAGES = ' sub=1 '
const USERS = { users: { default: 'on nopass ~* &* +@all', ada: 'on >secret ~* &* +@all' } }

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

/** Runs a program that must end well, by itself; what it said. */
async function run(t, program, data, flags) {
  const ended = await runChild(t, { url: redis.url, port: redis.port, ...data }, program, flags)
  const { code, signal, said, errors } = ended
  assert.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' })
  return said
}

async function connections(server, which = '') {
  const list = (await server.command('CLIENT', 'LIST')).split('\n')
  return list.filter((line) => line.includes(' name=dist-lock ') && line.includes(which)).length
}

test('a process with managers that were never used exits by itself', async (t) => {
  await run(t, ({ distLock, url }) => {
    distLock(url)
    distLock('memory:')
    distLock({ host: 'localhost', password: () => 'never asked for' })
  })
})

for (const source of ['redis', 'memory:']) {
  test(`${source}: a process that holds a lock and waits for nothing exits by itself`, async (t) => {
    const said = await run(
      t,
      async ({ distLock, say, url, source }) => {
        const lock = await distLock(source === 'redis' ? url : source).acquire('exit-held')
        say(Boolean(lock))
      },
      { source },
    )

    assert.deepEqual(said, [[true]])
  })
}

test('a process exits by itself after calls of each outcome', async (t) => {
  await run(t, async ({ distLock, url }) => {
    const locks = distLock(url)
    const lock = await locks.acquire('exit-outcomes')
    await locks.acquire('exit-outcomes', { timeout: 1000 })
    await locks.acquire('exit-outcomes', { signal: AbortSignal.abort() }).catch(() => {})
    const controller = new AbortController()
    const waiting = locks.acquire('exit-outcomes', { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await waiting.catch(() => {})
    await distLock(`${url}/99`)
      .acquire('a')
      .catch(() => {})
    await locks.extendLock('exit-outcomes', lock.id, 5)
    await locks.releaseLock('exit-outcomes', 'another')
    locks.acquire('', () => {})
  })
})

test('a process exits by itself while the undoing of a lost grant is tried', async (t) => {
  const proxy = await startProxy(t, redis)
  const child = runChild(t, { url: proxy.url }, async ({ distLock, say, told, url }) => {
    const locks = distLock(url, { connectTimeout: 500, commandTimeout: 500 })
    await locks.getAcquiredLock('before')
    say('connected')
    await told('acquire')
    await locks.acquire('exit-lost', { timeout: 800 }).catch((error) => say(error.code))
  })
  await child.heard('connected')
  proxy.mode = 'swallow replies'
  child.tell('acquire')

  const { code, signal, said } = await child

  assert.deepEqual({ code, signal }, { code: 0, signal: null })
  assert.deepEqual(said.at(-1), ['ERR_LOCK_UNKNOWN'])
})

test('a call that waits keeps the process alive until it ends', async (t) => {
  const key = 'lock:alive'
  await redis.command('HSET', key, 'id', 'another', 'owner', '')
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, url }) => {
    const locks = distLock(url)
    locks.getAcquiredLock('alive', () => say('waits'))
    const lock = await locks.acquire('alive')
    say('acquired', await lock.release())
  })
  await child.heard('waits')

  await redis.command('DEL', key)

  const { code, said } = await child
  assert.equal(code, 0)
  assert.deepEqual(said.at(-1), ['acquired', true])
})

test('a thread whose callers wait for a lock is not woken until one has it', async (t) => {
  await redis.command('HSET', 'lock:woken', 'id', 'another', 'owner', '')
  const child = runChild(t, { url: redis.url }, async ({ distLock, say, until, url }) => {
    let begun = 0
    let ended = 0
    const { setInterval: begin, clearInterval: end } = globalThis
    globalThis.setInterval = (...all) => ((begun += 1), begin(...all))
    globalThis.clearInterval = (...all) => ((ended += 1), end(...all))
    const locks = distLock(url)
    const waiting = Array.from({ length: 3 }, () => locks.acquire('woken').then((l) => l.release()))
    await locks.getAcquiredLock('woken')

    await until(() => begun > 0 && ended === begun)

    say('waits')
    await Promise.all(waiting)
    say('acquired')
  })
  await child.heard('waits')

  await redis.command('DEL', 'lock:woken')

  const { code, said } = await child
  assert.equal(code, 0)
  assert.deepEqual(said, [['waits'], ['acquired']])
})

test('a call that waits for a server that is down keeps the process alive until it ends', async (t) => {
  const proxy = await startProxy(t, redis)
  proxy.mode = 'hang up'
  const child = runChild(t, { url: proxy.url }, async ({ distLock, say, url }) => {
    const lock = await distLock(url).acquire('alive-outage')
    say('acquired', await lock.release())
  })
  await eventually(() => proxy.connections >= 2, 'it tries')

  proxy.mode = 'pass'

  assert.deepEqual((await child).said, [['acquired', true]])
})

test('managers with equal settings share one connection, each thread has its own', async (t) => {
  const server = await startRedis(t)
  const child = runChild(t, { url: server.url, port: server.port }, async (here) => {
    const { distLock, thread, say, url, port } = here
    const sources = [
      url,
      url,
      `${url}/0`,
      { host: '127.0.0.1', port },
      { host: '127.0.0.1', port, db: 0 },
    ]
    const managers = sources.map((source) => distLock(source))
    await Promise.all(managers.map((locks) => locks.getAcquiredLock('a')))
    const worker = thread({ url }, async ({ distLock, say, url }) => {
      await distLock(url).getAcquiredLock('a')
      say('connected')
      setTimeout(() => {}, 60000)
    })
    await worker.heard('connected')
    say('connected', managers.length)
    setTimeout(() => {}, 60000)
  })
  await child.heard('connected')

  assert.equal(await connections(server), 2)
})

test('calls of all threads that wait, and many at a time, share two more connections', async (t) => {
  const server = await startRedis(t)
  await server.command('HSET', 'lock:held', 'id', 'another', 'owner', '')
  const child = runChild(t, { url: server.url }, async ({ distLock, thread, say, url }) => {
    const work = async ({ distLock, say, url }) => {
      const locks = distLock(url)
      await locks.getAcquiredLock('alone')
      locks.acquire('held')
      await Promise.all(Array.from({ length: 100 }, (_, at) => locks.getAcquiredLock(`${at}`)))
      say('through')
    }
    // While others wait a lone call may go over what they share, and need no connection of its thread.
    await distLock(url).getAcquiredLock('before')
    const worker = thread({ url }, work)
    await worker.heard('through')
    await work({ distLock, say, url })
    say('all through')
    setTimeout(() => {}, 60000)
  })
  await child.heard('all through')
  await eventually(() => connections(server, FOR_MESSAGES), 'one for messages')

  assert.equal(await connections(server, FOR_MESSAGES), 1)
  assert.equal(await connections(server), 4)
})

test('managers with different settings have a connection each', async (t) => {
  const server = await startRedis(t, USERS)
  const child = runChild(t, { url: server.url, port: server.port }, async (here) => {
    const { distLock, say, url, port } = here
    const managers = [
      distLock(url),
      distLock(`${url}/1`),
      distLock(`redis://ada:secret@127.0.0.1:${port}`),
      distLock(`redis://localhost:${port}?family=4`),
      distLock(url, { commandTimeout: 4000 }),
      distLock(url, { connectTimeout: 4000 }),
    ]
    await Promise.all(managers.map((locks) => locks.getAcquiredLock('different')))
    say('connected', managers.length)
    setTimeout(() => {}, 60000)
  })
  const [, managers] = await child.heard('connected')

  assert.equal(await connections(server), managers)
})

test('nothing is connected before the first call', async (t) => {
  const proxy = await startProxy(t, redis)
  const child = runChild(t, { url: proxy.url }, async ({ distLock, say, told, url }) => {
    const locks = distLock(url)
    await new Promise((resolve) => setTimeout(resolve, 100))
    say('made')
    await told('use')
    await locks.getAcquiredLock('a')
    say('used')
  })
  await child.heard('made')
  assert.equal(proxy.connections, 0)

  child.tell('use')
  await child.heard('used')
  assert.equal(proxy.connections, 1)
})

test('each of 3000 calls of one tick gets its own answer', async (t) => {
  const said = await run(t, async ({ distLock, say, url }) => {
    const locks = distLock(url)
    const calls = Array.from({ length: 3000 }, async (_, at) => {
      const resource = `each${at}`
      const owner = `öwner 🔒 ${'x'.repeat(at % 7)}${at}`
      const lock = await locks.acquire(resource, { owner, ttl: 20000 + at })
      const held = await locks.getAcquiredLock(resource)
      return held.id === lock.id && held.owner === owner && lock.key === `lock:${resource}`
    })
    say('its own', (await Promise.all(calls)).filter(Boolean).length)
  })

  assert.deepEqual(said, [['its own', 3000]])
})

test('a blocked event loop gets all completions once it runs again', async (t) => {
  const said = await run(t, async ({ distLock, say, url }) => {
    const locks = distLock(url)
    await locks.getAcquiredLock('before')
    const calls = Array.from({ length: 2000 }, (_, at) => locks.acquire(`blocked${at}`))
    process.nextTick(() => {
      const end = Date.now() + 500
      while (Date.now() < end);
    })
    const acquired = await Promise.all(calls)
    const released = await Promise.all(acquired.map((lock) => lock.release()))
    say('released', released.filter(Boolean).length)
  })

  assert.deepEqual(said, [['released', 2000]])
})

test('a callback that throws does not keep the others from their answers', async (t) => {
  const said = await run(t, ({ distLock, say, url }) => {
    const locks = distLock(url)
    let answers = 0
    process.on('uncaughtException', (error) => say('uncaught', error.message))
    for (let at = 0; at < 600; at++) {
      locks.getAcquiredLock(`a${at}`, () => {
        if (++answers === 600) say('all', answers)
        if (at === 300) throw new Error('on purpose')
      })
    }
  })

  assert.deepEqual(said.map((words) => words.join(' ')).sort(), ['all 600', 'uncaught on purpose'])
})
