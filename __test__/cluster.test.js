'use strict'

// A Redis Cluster as the store: each lock is at the node that has its slot.

const assert = require('node:assert/strict')
const { after, afterEach, before, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { startCluster } = require('./support/cluster.js')
const { eventually } = require('./support/outcome.js')

let cluster
const starting = startCluster({ after })
before(async () => (cluster = await starting))
afterEach(async () => {
  for (const node of cluster.primaries) {
    await node.lockKeys() // Which looks that all else expires.
    await node.command('FLUSHALL')
  }
})

let settings = 0

const BRACES = ['{', '}', 'a', 'b', '']

/** Names with braces of all kinds. */
function names(count) {
  const pick = () => BRACES[Math.floor(Math.random() * BRACES.length)]
  return Array.from({ length: count }, (_, at) => {
    const end = Array.from({ length: 6 }, pick).join('')
    return at % 2 ? `${at}${end}` : `${end}${at}`
  })
}

test('several locks of one slot are taken at once, and of several slots one after the other', async () => {
  const locks = distLock(cluster.source)

  const both = await locks.acquire(['{bank}:1', '{bank}:2'])
  assert.deepEqual(await cluster.lockKeys(), ['lock:{bank}:1', 'lock:{bank}:2'])
  assert.equal(await both.release(), true)

  await assert.rejects(locks.acquire(['a', 'b']), { code: 'ERR_LOCK_CROSS_SLOT' })
  assert.deepEqual(await cluster.lockKeys(), [])
  const apart = await locks.acquire(['a', 'b'], { inTurn: true })
  assert.equal(await apart.release(), true)
})

test('the four methods work on locks of all nodes, whatever braces their names have', async () => {
  const locks = distLock(cluster.source)
  const resources = names(300)

  const held = await Promise.all(resources.map((name) => locks.acquire(name, `of ${name}`)))

  const keys = held.map(({ key }) => key).sort()
  assert.deepEqual(await cluster.lockKeys(), keys)
  const counts = await Promise.all(cluster.primaries.map((node) => node.lockKeys()))
  assert.ok(
    counts.every(({ length }) => length > 0),
    'some node has none',
  )
  const taken = resources.map((name) => locks.acquire(name, { maxRetries: 0 }))
  assert.ok((await Promise.all(taken)).every((lock) => lock === false))
  const seen = await Promise.all(resources.map((name) => locks.getAcquiredLock(name)))
  assert.deepEqual(
    seen.map(({ id, owner }) => [id, owner]),
    held.map(({ id, owner }) => [id, owner]),
  )
  assert.ok((await Promise.all(held.map((lock) => lock.extend(60000)))).every(Boolean))
  assert.ok((await Promise.all(held.map((lock) => lock.release()))).every(Boolean))
  assert.deepEqual(await cluster.lockKeys(), [])
})

test('all keys of a lock lie in one slot, as a server computes it', async () => {
  const [one, other] = [
    distLock(cluster.source),
    distLock(cluster.source, { connectTimeout: 9999 }),
  ]
  const resources = names(60)
  await Promise.all(resources.map((name) => one.acquire(name)))

  // A queue for each, and the slot's last token.
  const waiting = resources.map((name) => other.acquire(name))
  const sideKeys = async () => {
    const keys = await Promise.all(cluster.primaries.map((node) => node.command('KEYS', '*')))
    return keys.flat().filter((key) => key.startsWith('dist-lock:'))
  }
  const queues = async () => (await sideKeys()).filter((key) => key.startsWith('dist-lock:queue'))
  await eventually(async () => (await queues()).length === resources.length, 'all wait')

  const slotsOf = async (keys) => {
    const slots = await Promise.all(keys.map((key) => cluster.slotOf(key)))
    return [...new Set(slots)].sort()
  }
  const slots = await slotsOf(resources.map((name) => `lock:${name}`))
  assert.deepEqual(await slotsOf(await queues()), slots)
  const fences = (await sideKeys()).filter((key) => key.startsWith('dist-lock:fence'))
  const numbered = new Set(await slotsOf(fences))
  assert.deepEqual(
    slots.filter((slot) => !numbered.has(slot)),
    [],
  )
  await other.close()
  await Promise.allSettled(waiting)
})

test('info says that it is a Cluster', async () => {
  assert.deepEqual(await distLock(cluster.source).info(), { mode: 'queue', cluster: true })
})

test('tokens of a resource grow from holder to holder', async () => {
  const locks = distLock(cluster.source)

  let last = 0
  for (let turn = 0; turn < 50; turn++) {
    const lock = await locks.acquire('a')
    assert.ok(lock.fencingToken > last)
    last = lock.fencingToken
    await lock.release()
  }
})

test('waiters of two processes are handed the lock in the order they came', async (t) => {
  const locks = distLock(cluster.source)
  const [name] = await cluster.namesOn([cluster.primaries[1]])
  const first = await locks.acquire(name)
  const order = []
  const queue = `dist-lock:queue:{lock:${name}}`
  const waiters = async () => cluster.primaries[1].command('ZCOUNT', queue, 0, '+inf')

  const child = runChild(
    t,
    { source: cluster.source, name },
    async ({ distLock, say, source, name, told }) => {
      const locks = distLock(source)
      for (const turn of [1, 3]) {
        await told(`ask ${turn}`)
        say('asked', turn)
        locks.acquire(name).then(async (lock) => {
          say(`granted ${turn}`, Date.now())
          await lock.release()
        })
      }
      await told('end')
      process.exit()
    },
  )
  for (const turn of [1, 2, 3]) {
    if (turn === 2) {
      locks.acquire(name).then(async (lock) => {
        order.push(['here', Date.now()])
        await lock.release()
      })
    } else child.tell(`ask ${turn}`)
    await eventually(async () => (await waiters()) === turn, `${turn} in the queue`)
  }
  await first.release()

  const [, before] = await child.heard('granted 1')
  const [, after] = await child.heard('granted 3')
  child.tell('end')
  await child
  const [[, here]] = order
  assert.ok(before <= here && here <= after, `${before} ${here} ${after}`)
})

test('the first callers of a process are served in the order they came', async () => {
  const numbers = Array.from({ length: 8 }, (_, number) => number)
  for (let round = 0; round < 8; round++) {
    // Settings of its own: nothing is connected, and no message reaches it.
    const fresh = () => distLock(cluster.source, { connectTimeout: 20000 + settings++ })
    const [locks, others] = [fresh(), fresh()]
    const acquired = []
    const requested = []
    await Promise.all([
      ...numbers.map(async (number) => {
        const lock = await locks.acquire('a')
        acquired.push(number)
        await lock.release()
      }),
      ...numbers.map((number) => others.request('b', () => requested.push(number))),
    ])
    assert.deepEqual({ acquired, requested }, { acquired: numbers, requested: numbers })
    await Promise.all([locks.close(), others.close()])
  }
})

test('a hand-off to another process is heard, not found by looking', async (t) => {
  const names = await cluster.namesOn(cluster.primaries)
  const locks = distLock(cluster.source)
  const held = await Promise.all(names.map((name) => locks.acquire(name)))
  const child = runChild(
    t,
    { source: cluster.source, names },
    async ({ distLock, say, source, names }) => {
      const locks = distLock(source)
      const waiting = names.map((name) => locks.acquire(name))
      await Promise.race([...waiting, new Promise((resolve) => setTimeout(resolve, 300))])
      say('waiting')
      say('granted', (await Promise.all(waiting)).length)
      process.exit()
    },
  )
  await child.heard('waiting')
  const queued = async () =>
    (await Promise.all(cluster.primaries.map((node) => node.command('KEYS', 'dist-lock:queue:*'))))
      .flat()
      .filter((key) => key.includes('lock:n'))
  await eventually(async () => (await queued()).length === 3, 'all wait')
  const monitors = await Promise.all(cluster.primaries.map((node) => node.monitor()))

  await Promise.all(held.map((lock) => lock.release()))

  assert.deepEqual(await child.heard('granted'), ['granted', 3])
  for (const monitor of monitors) {
    const told = (await monitor.lines()).filter((line) => line.includes('"granted'))
    assert.equal(told.length, 1)
    monitor.stop()
  }
  await child
})

test('a waiter that is named in a message asks, and does not believe it', async () => {
  const [one, other] = [
    distLock(cluster.source),
    distLock(cluster.source, { connectTimeout: 9997 }),
  ]
  const [node, another] = cluster.primaries
  const [name] = await cluster.namesOn([node])
  const held = await one.acquire(name)
  const waiting = other.acquire(name)
  let isGranted = false
  waiting.then(() => (isGranted = true))
  const queue = `dist-lock:queue:{lock:${name}}`
  const members = () => node.command('ZRANGEBYSCORE', queue, 0, '+inf')
  await eventually(async () => (await members()).length === 1, 'it waits')
  const [[id, process]] = (await members()).map((member) => member.split(' '))
  const monitor = await node.monitor()

  // As when a node found that nobody hears it, gave the lock to the next, and others told all the same.
  const message = `granted ${id} ${held.fencingToken + 1} ${Date.now()} lock:${name}`
  assert.equal(await another.command('PUBLISH', `dist-lock:process:${process}`, message), 1)
  const asks = (line) => line.includes('"acquire"') && line.includes(id)
  await eventually(async () => (await monitor.lines()).some(asks), 'it asks')
  await other.getAcquiredLock(name)

  assert.equal(isGranted, false)
  monitor.stop()
  assert.equal(await held.release(), true)
  assert.equal(await (await waiting).release(), true)
})

test('two lockers over many keys never hold the same at once, and leave nothing', async () => {
  const managers = [distLock(cluster.source), distLock(cluster.source, { connectTimeout: 9998 })]
  const resources = names(40)
  const inside = new Map()

  const turns = managers.flatMap((locks) =>
    resources.map(async (name) => {
      for (let turn = 0; turn < 10; turn++) {
        const lock = await locks.acquire(name)
        assert.equal(inside.get(name) ?? 0, 0, name)
        inside.set(name, 1)
        await new Promise(setImmediate)
        inside.set(name, 0)
        assert.equal(await lock.release(), true)
      }
    }),
  )
  await Promise.all(turns)

  assert.deepEqual(await cluster.lockKeys(), [])
})

test('a server that is no node of a Cluster, and a node that is taken for a lone server, are named as such', async (t) => {
  const alone = await require('./support/redis.js').startRedis(t)
  const toCluster = distLock({ cluster: [{ host: alone.host, port: alone.port }] })
  const toNode = distLock(cluster.primaries[0].url)

  await assert.rejects(toCluster.acquire('a'), {
    code: 'ERR_LOCK_REDIS',
    message: /this server is not a node of a Redis Cluster: make the manager from its URL/,
  })
  for (const call of ['acquire', 'getAcquiredLock']) {
    await assert.rejects(toNode[call]('a'), {
      code: 'ERR_LOCK_REDIS',
      message: /this server is a node of a Redis Cluster: make the manager from redis\+cluster:/,
    })
  }
  await assert.rejects(toNode.info(), /this server is a node of a Redis Cluster/)
})
