'use strict'

// A Redis Cluster whose primaries fail while locks are held and waited for.

const assert = require('node:assert/strict')
const { after, afterEach, before, test } = require('node:test')
const { startCluster } = require('./support/cluster.js')
const { NOISE, eventually } = require('./support/outcome.js')

let cluster
const starting = startCluster({ after }, { replicas: 1, nodeTimeout: 1500 })
before(async () => (cluster = await starting))

afterEach(async () => {
  for (const node of await cluster.owners()) {
    assert.deepEqual(await node.lockKeys(), []) // And all else expires.
  }
})

/** A lock that is held by one manager, and waited for by both. */
async function heldAndWaitedFor([one, other], name, waiters = 4) {
  const key = `lock:${name}`
  const held = await one.acquire(name)
  const node = await cluster.ownerOf(key, await cluster.owners())
  const tokens = [held.fencingToken]
  let inside = 0
  const waiting = Array.from({ length: waiters }, async (_, number) => {
    const lock = await (number % 2 ? one : other).acquire(name)
    assert.equal(inside++, 0, 'two have it')
    tokens.push(lock.fencingToken)
    // Longer than it takes to hear of a grant that was not.
    await new Promise((resolve) => setTimeout(resolve, 20))
    inside--
    assert.equal(await lock.release(), true)
  })
  const queued = () => node.command('ZCOUNT', `dist-lock:queue:{${key}}`, 0, '+inf')
  await eventually(async () => (await queued()) === waiters, 'all in the queue')
  return { held, tokens, all: Promise.all(waiting) }
}

const grows = (tokens) => tokens.every((token, at) => at === 0 || token > tokens[at - 1])

test('a failover on command keeps a lock that is held and those who wait for it', async () => {
  const managers = cluster.twoManagers()
  const [name] = await cluster.namesOn([cluster.primaries[0]])
  const { held, tokens, all } = await heldAndWaitedFor(managers, name)

  const [standby] = cluster.standby
  await standby.command('CLUSTER', 'FAILOVER')
  await eventually(async () => (await standby.command('ROLE'))[0] === 'master', 'it took over')

  assert.equal(await held.extend(30000), true)
  assert.equal(held.state, 'held')
  assert.equal(await held.release(), true)
  await all
  assert.ok(grows(tokens), 'tokens')
})

test('a primary that crashes is followed by its replica: locks are held, renewed, waited for', async () => {
  const managers = cluster.twoManagers()
  const [name] = await cluster.namesOn([cluster.primaries[1]])
  const [other] = await cluster.namesOn([cluster.primaries[2]])
  // In the same slot.
  const sibling = `renewed{lock:${name}}`
  const renewed = await managers[0].acquire(sibling, {
    ttl: 10_000,
    autoExtend: true,
  })
  const { held, tokens, all } = await heldAndWaitedFor(managers, name)
  const standby = cluster.standby[1]
  // What a replica has not heard of is lost, which is not what is tested here.
  await cluster.primaries[1].command('WAIT', 1, 5000)

  await cluster.primaries[1].stop()

  const during = await managers[0].acquire(other)
  assert.equal(await during.release(), true, 'locks of other nodes go on')
  await eventually(async () => (await standby.command('ROLE'))[0] === 'master', 'it took over')
  assert.equal(await held.extend(30000), true)
  assert.equal(await held.release(), true)
  await all
  assert.ok(grows(tokens), 'tokens')
  // It was suspect meanwhile.
  await eventually(() => renewed.state === 'held', 'renewed again')
  assert.equal(await renewed.release(), true)
})

test('a Cluster that is down ends calls by their deadline, and goes on when it is up again', async () => {
  const [locks] = cluster.twoManagers()
  const [name] = await cluster.namesOn([cluster.primaries[2]])
  const held = await locks.acquire(name)
  const [primary, standby] = [cluster.primaries[2], cluster.standby[2]]
  await standby.stop()
  await primary.pause()

  const started = performance.now()
  const outcome = await locks.acquire(name, { timeout: 400 }).catch(({ code }) => code)
  const took = performance.now() - started
  assert.match(String(outcome), /^ERR_LOCK_(UNKNOWN|UNREACHABLE|REDIS)$/)
  assert.ok(took < 400 + NOISE, `${took} ms`)
  primary.resume()

  assert.equal(await held.release(), true)
})
