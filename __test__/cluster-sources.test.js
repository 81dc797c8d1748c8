'use strict'

// What a manager of a Cluster is made from: settings, URLs, and the clients for Clusters.

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const distLock = require('..')
const { toSource } = require('../lib/source.js')
const { clientKinds } = require('./support/clients.js')
const { certificates } = require('./support/certificates.js')
const { startCluster } = require('./support/cluster.js')

const PASSWORD = 'of the Cluster'
const NODES = [
  { host: 'one', port: 7000 },
  { host: 'two', port: 6379 },
]
const settingsOf = (input) => {
  const { cluster, ...settings } = toSource(input).settings()
  return { ...settings, cluster: { ...cluster } }
}
const refusal = (input) => {
  try {
    toSource(input)
  } catch (error) {
    assert.equal(error.name, 'TypeError')
    return error.message
  }
  assert.fail('it was accepted')
}

let cluster
const starting = startCluster({ after }, { password: PASSWORD })
before(async () => (cluster = await starting))

/** Takes a lock on each node, and gives it back. */
async function worksOnAll(locks, prefix = 'lock:') {
  const names = await cluster.namesOn(cluster.primaries, prefix)
  const held = await Promise.all(names.map((name) => locks.acquire(name)))
  const keys = names.map((name) => `${prefix}${name}`).sort()
  assert.deepEqual(await cluster.lockKeys(), keys)
  assert.ok((await Promise.all(held.map((lock) => lock.release()))).every(Boolean))
}

for (const [what, nodes] of Object.entries({
  settings: NODES,
  texts: ['one:7000', 'two'],
  URLs: ['redis://one:7000', new URL('valkey://two')],
})) {
  test(`nodes are given by ${what}`, () => {
    assert.deepEqual(settingsOf({ cluster: nodes }), { cluster: { addresses: NODES }, db: 0 })
  })
}

for (const scheme of ['redis+cluster', 'valkey+cluster', 'rediss+cluster', 'valkeys+cluster']) {
  test(`a URL of ${scheme}: names some nodes`, () => {
    const settings = settingsOf(`${scheme}://ada:p%40@one:7000,two?family=4`)

    const { tls, ...others } = settings
    assert.deepEqual(others, {
      cluster: { addresses: NODES.map((node) => ({ ...node, family: 4 })) },
      db: 0,
      username: 'ada',
      password: 'p@',
    })
    assert.equal(tls !== undefined, /^(rediss|valkeys)/.test(scheme))
  })
}

test('what is said of one node goes for all', () => {
  const own = { host: 'one', port: 7000, username: 'ada', password: 'pw' }
  assert.deepEqual(settingsOf({ cluster: [own, 'two'] }), {
    cluster: { addresses: NODES },
    db: 0,
    username: 'ada',
    password: 'pw',
  })
  assert.equal(settingsOf({ cluster: [own], password: 'other' }).password, 'other')
  assert.equal(settingsOf({ cluster: [own], password: 'other' }).username, undefined)
  assert.ok(settingsOf({ cluster: ['rediss://one'] }).tls)
})

for (const [source, message] of [
  [{ cluster: [] }, /Expected `cluster` to be a list of nodes; got an empty one/],
  [{ cluster: 'redis://one' }, /Expected `cluster` to be a list of nodes; got a string/],
  [{ cluster: [null] }, /Expected each node of `cluster` to be .*; got null/],
  [{ cluster: ['unix:///run/redis.sock'] }, /Expected each node of `cluster` to be/],
  [{ cluster: NODES, db: 1 }, /Expected `db` to be 0 in a Cluster; got 1/],
  ['redis+cluster://one/3', /Expected `db` to be 0 in a Cluster; got '3'/],
  [{ cluster: NODES, host: 'one' }, /settings have either `host` or `cluster`/],
  [{ cluster: NODES, nodes: 1 }, /got an object with `nodes`, which is no setting/],
  [{ cluster: NODES, natMap: () => {} }, /Expected `natMap` to be an object such as/],
  [{ cluster: NODES, natMap: { one: 'two' } }, /Expected `natMap` to be an object such as/],
  ['redis+cluster://', /it has no host/],
  ['redis+cluster://one:x', /it cannot be parsed/],
]) {
  test(`refused: ${typeof source === 'string' ? source : JSON.stringify(source)}`, () => {
    assert.match(refusal(source), message)
  })
}

test('settings and a URL lead to all nodes', async () => {
  const { host, port } = cluster.primaries[1]
  const settings = { cluster: [{ host, port }], password: PASSWORD, keyPrefix: 'all:' }

  await worksOnAll(distLock(settings), 'all:lock:')
  const login = encodeURIComponent(PASSWORD)
  await worksOnAll(distLock(`redis+cluster://:${login}@127.0.0.1:1,${host}:${port}`))
})

test('a wrong password is said, and not shown', async () => {
  const locks = distLock({ ...cluster.source, password: 'a wrong one' })

  await assert.rejects(locks.acquire('a'), ({ code, redisCode, message }) => {
    assert.deepEqual([code, redisCode], ['ERR_LOCK_REDIS', 'WRONGPASS'])
    assert.doesNotMatch(message, /a wrong one/)
    return true
  })
})

test('nodes are found where natMap says', async () => {
  const [first, ...others] = cluster.primaries
  const to = (node) => ({ host: 'localhost', port: node.port })
  const natMap = Object.fromEntries(others.map((node) => [`${node.host}:${node.port}`, to(node)]))
  const wrong = Object.fromEntries(
    others.map((node) => [`${node.host}:${node.port}`, { host: '127.0.0.1', port: 1 }]),
  )
  const manager = (natMap) =>
    distLock({ cluster: [to(first)], natMap, password: PASSWORD }, { connectTimeout: 1500 })

  await worksOnAll(manager(natMap))
  const [name] = await cluster.namesOn(others)
  await assert.rejects(manager(wrong).acquire(name), { code: 'ERR_LOCK_UNREACHABLE' })
})

test('nodes are spoken to with TLS, each under the name it announces', async (t) => {
  const { ca, client } = certificates()
  const args = ['--tls-cluster', 'yes', '--cluster-announce-hostname', 'localhost']
  args.push('--cluster-preferred-endpoint-type', 'hostname')
  args.push('--tls-client-cert-file', client.certFile, '--tls-client-key-file', client.keyFile)
  const encrypted = await startCluster(t, { tls: true, args })
  const ports = encrypted.primaries.map(({ tlsPort }) => tlsPort)
  const source = { cluster: [`rediss://localhost:${ports[0]}`], tls: { ca: ca.cert } }
  const names = await encrypted.namesOn(encrypted.primaries)

  const locks = distLock(source)
  const held = await Promise.all(names.map((name) => locks.acquire(name)))

  assert.equal((await encrypted.lockKeys()).length, 3)
  assert.ok((await Promise.all(held.map((lock) => lock.release()))).every(Boolean))
  const untrusted = distLock({ cluster: source.cluster })
  await assert.rejects(untrusted.acquire('a'), { code: 'ERR_LOCK_UNREACHABLE' })
})

for (const name of ['ioredis-3', 'ioredis-4', 'ioredis-5', 'ioredis-6', 'iovalkey-0.4']) {
  if (!clientKinds.some((kind) => kind.name === name)) continue
  const { Cluster } = require(name)

  test(`${name}: a Cluster client lends its settings, and its end ends the manager`, async (t) => {
    const { cluster: nodes } = cluster.source
    const client = new Cluster(nodes, {
      keyPrefix: 'mine:',
      redisOptions: { password: PASSWORD, ...(name === 'ioredis-3' && { keyPrefix: 'mine:' }) },
      scaleReads: 'slave',
      lazyConnect: true,
    })
    client.on('error', () => {})
    t.after(() => client.disconnect())
    const locks = distLock(client)

    await worksOnAll(locks, 'mine:lock:')
    client.disconnect()
    await assert.rejects(locks.acquire('a'), { code: 'ERR_LOCK_CLOSED' })
  })

  test(`${name}: natMap is followed, and what cannot be reproduced is refused`, (t) => {
    const open = (options) => {
      const client = new Cluster(NODES, { lazyConnect: true, ...options })
      client.on('error', () => {})
      t.after(() => client.disconnect())
      return client
    }
    const natMap = { '10.0.0.1:6379': { host: 'one', port: 7000 } }

    assert.deepEqual(settingsOf(open({ natMap })).cluster, { addresses: NODES, natMap })
    assert.match(refusal(open({ useSRVRecords: true })), /`useSRVRecords` cannot be reproduced/)
    assert.match(refusal(open({ natMap: () => {} })), /Expected `natMap` to be an object such as/)
  })
}

for (const name of ['redis-5', 'redis-6', 'redis-client-5', 'redis-client-6']) {
  if (!clientKinds.some((kind) => kind.name === name)) continue
  const { createCluster } = require(name)

  test(`${name}: a cluster client lends its settings, and its end ends the manager`, async (t) => {
    const [first, second] = cluster.primaries
    const client = createCluster({
      rootNodes: [{ url: first.url }, { socket: { host: second.host, port: second.port } }],
      defaults: { password: PASSWORD },
      useReplicas: true,
    })
    client.on('error', () => {})
    t.after(() => client.isOpen && client.destroy())
    const locks = distLock(client)

    await worksOnAll(locks)
    await client.connect()
    await worksOnAll(locks)
    await client.close()
    await assert.rejects(locks.acquire('a'), { code: 'ERR_LOCK_CLOSED' })
  })

  test(`${name}: what a cluster client was given is read`, () => {
    const rootNodes = [{ url: 'rediss://ada:pw@one:7000' }, { socket: { host: 'two' } }]
    const nodeAddressMap = { 'there:6379': { host: 'two', port: 6379 } }
    const { tls, cluster, ...settings } = settingsOf(createCluster({ rootNodes, nodeAddressMap }))

    assert.deepEqual(settings, { db: 0, username: 'ada', password: 'pw' })
    assert.deepEqual(cluster, { addresses: NODES, natMap: { 'there:6379': NODES[1] } })
    assert.ok(tls)
    const socket = { ...NODES[0], lookup() {} }
    assert.match(refusal(createCluster({ rootNodes: [{ socket }] })), /`socket.lookup` cannot be/)
  })
}

for (const name of ['redis-4', 'redis-client-4']) {
  test(`${name}: a cluster client, which tells nothing, is refused with what to pass`, () => {
    const client = require(name).createCluster({ rootNodes: [{ socket: NODES[0] }] })

    assert.match(refusal(client), /keeps its settings to itself: pass \{ cluster: \[/)
  })
}
