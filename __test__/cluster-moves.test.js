'use strict'

// A Redis Cluster whose slots are moved while locks in them are held and waited for.

const assert = require('node:assert/strict')
const { after, afterEach, before, test } = require('node:test')
const { startCluster } = require('./support/cluster.js')
const { eventually } = require('./support/outcome.js')

let cluster
const starting = startCluster({ after }, { spare: 1 })
before(async () => (cluster = await starting))

afterEach(async () => {
  for (const node of await cluster.owners()) {
    assert.deepEqual(await node.lockKeys(), []) // And all else expires.
  }
})

/** A lock that is held by one manager, and waited for by both: in the order in which they asked. */
async function heldAndWaitedFor([one, other], name, waiters = 3) {
  const key = `lock:${name}`
  const held = await one.acquire(name)
  const node = await cluster.ownerOf(key, await cluster.owners())
  const order = []
  const waiting = []
  for (let number = 0; number < waiters; number++) {
    const locks = number % 2 ? one : other
    const taken = locks.acquire(name).then(async (lock) => {
      order.push(number)
      assert.equal(await lock.release(), true)
      return lock.fencingToken
    })
    waiting.push(taken)
    const queued = () => node.command('ZCOUNT', `dist-lock:queue:{${key}}`, 0, '+inf')
    await eventually(async () => (await queued()) === number + 1, `${number + 1} in the queue`)
  }
  return { held, order, all: Promise.all(waiting) }
}

const inOrder = (count) => Array.from({ length: count }, (_, number) => number)
const grows = (tokens) => tokens.every((token, at) => at === 0 || token > tokens[at - 1])

test('a slot that has been moved takes its lock along, and those who wait for it', async () => {
  const managers = cluster.twoManagers()
  const [name] = await cluster.namesOn([cluster.primaries[0]])
  const { held, order, all } = await heldAndWaitedFor(managers, name)

  await cluster.move(`lock:${name}`, cluster.spares[0])

  assert.equal(await managers[1].acquire(name, { maxRetries: 0 }), false)
  assert.equal((await managers[1].getAcquiredLock(name)).id, held.id)
  assert.equal(await held.extend(30000), true)
  assert.equal(await held.release(), true)
  const tokens = await all
  assert.deepEqual(order, inOrder(3))
  assert.ok(grows([held.fencingToken, ...tokens]), 'tokens')
  await cluster.move(`lock:${name}`, cluster.primaries[0])
})

for (const [what, keysOf] of Object.entries({
  'before its keys': () => [],
  'after its lock': (name) => [`lock:${name}`],
  'after its queue': (name) => [`dist-lock:queue:{lock:${name}}`],
  'after all its keys': () => undefined,
})) {
  test(`while a slot is moved, ${what}, nobody else gets the lock, and its holder keeps it`, async () => {
    const managers = cluster.twoManagers()
    const [name] = await cluster.namesOn([cluster.primaries[1]])
    const { held, order, all } = await heldAndWaitedFor(managers, name)
    const move = await cluster.beginMove(`lock:${name}`, cluster.spares[0])
    await move.moveKeys(keysOf(name))

    const stranger = managers[1].acquire(name, { timeout: 1500 }).catch(({ code }) => code)
    assert.equal(await held.extend(30000), true)
    assert.equal((await managers[1].getAcquiredLock(name)).id, held.id)
    const outcome = await stranger
    assert.ok(outcome === false || outcome === 'ERR_LOCK_REDIS', String(outcome))
    assert.equal(await held.release(), true)
    assert.equal(await held.release(), false)
    await move.moveKeys()
    await move.end()

    const tokens = await all
    assert.deepEqual(order, inOrder(3))
    assert.ok(grows([held.fencingToken, ...tokens]), 'tokens')
    await cluster.move(`lock:${name}`, cluster.primaries[1])
  })
}

test('while a slot is moved, a lock in it that is shared waits for the end of that, and is not denied', async () => {
  const [locks] = cluster.twoManagers({ connectTimeout: 1500 })
  const [name] = await cluster.namesOn([cluster.primaries[1]])
  const shared = await locks.acquire(name, { mode: 'shared' })
  const move = await cluster.beginMove(`lock:${name}`, cluster.spares[0])
  await move.moveKeys([`lock:${name}`])

  await assert.rejects(shared.extend(30000), { redisCode: 'TRYAGAIN' })
  await assert.rejects(shared.release(), { redisCode: 'TRYAGAIN' })
  await move.moveKeys()
  await move.end()

  // Its release goes on in the background.
  await eventually(async () => (await locks.getAcquiredLock(name)) === null, 'released')
  await cluster.move(`lock:${name}`, cluster.primaries[1])
})

test('while an empty slot is moved, a lock in it is taken once it has been', async () => {
  const [locks] = cluster.twoManagers()
  const [name] = await cluster.namesOn([cluster.primaries[2]], 'lock:empty')
  const move = await cluster.beginMove(`lock:empty${name}`, cluster.spares[0])

  const waiting = locks.acquire(`empty${name}`)
  const early = await locks
    .acquire(`empty${name}`, { timeout: 1500 })
    .catch(({ redisCode }) => redisCode)
  assert.equal(early, 'TRYAGAIN')
  await move.moveKeys()
  await move.end()

  assert.equal(await (await waiting).release(), true)
  await cluster.move(`lock:empty${name}`, cluster.primaries[2])
})

test('slots that are moved to and fro while many take turns never give one lock to two', async () => {
  const managers = cluster.twoManagers()
  const names = await cluster.namesOn([cluster.primaries[0], cluster.primaries[1]], 'lock:turns')
  const inside = new Map()
  let turns = 0
  let isOver = false
  const takeTurns = async (locks, name) => {
    while (!isOver) {
      const lock = await locks.acquire(`turns${name}`)
      assert.equal(inside.get(name) ?? 0, 0, name)
      inside.set(name, 1)
      await new Promise(setImmediate)
      inside.set(name, 0)
      turns += 1
      assert.equal(await lock.release(), true)
    }
  }
  const all = managers.flatMap((locks) =>
    names.flatMap((name) => [takeTurns(locks, name), takeTurns(locks, name)]),
  )

  for (let round = 0; round < 3; round++) {
    for (const [at, name] of names.entries()) {
      const before = turns
      await cluster.move(`lock:turns${name}`, cluster.spares[0])
      await cluster.move(`lock:turns${name}`, cluster.primaries[at])
      await eventually(() => turns > before + 4, 'they go on')
    }
  }
  isOver = true
  await Promise.all(all)
})
