'use strict'

// Locks made from every kind of client: the right server, database, user and key.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const distLock = require('../index.js')
const { clientKinds } = require('./support/clients.js')
const { startRedis, hasIPv6 } = require('./support/redis.js')

/** Whoever has not said who they are may connect and cannot lock. */
const USERS = { default: 'on nopass ~nothing &* +@all', ada: 'on >secret ~* &* +@all' }

let redis
let guarded
let restricted
const starting = [{}, { password: 'pw' }, { users: USERS }].map((options) =>
  startRedis({ after }, options),
)
before(async () => ([redis, guarded, restricted] = await Promise.all(starting)))

let count = 0
/** A resource no other test uses. */
const newResource = () => `invoice:${++count}`

/** The id under `key` in database `db`, read without any client that is tested. */
async function idAt(server, db, key) {
  const connection = await server.connect()
  await connection.command('SELECT', db)
  const id = await connection.command('HGET', key, 'id')
  connection.close()
  return id
}

async function assertLocksAt(server, db, keyPrefix, locks) {
  const resource = newResource()
  const lock = await locks.acquire(resource)

  assert.equal(lock.key, `lock:${resource}`)
  assert.equal(await idAt(server, db, `${keyPrefix}lock:${resource}`), lock.id)
  assert.equal((await locks.getAcquiredLock(resource)).id, lock.id)
  assert.equal(await lock.extend(60000), true)
  assert.equal(await lock.release(), true)
  assert.equal(await idAt(server, db, `${keyPrefix}lock:${resource}`), null)
}

for (const kind of clientKinds) {
  const { name } = kind
  const open = (t, settings) => kind.open(t, { host: '127.0.0.1', port: redis.port, ...settings })

  test(`${name}: a client that was not connected yet gives locks`, async (t) => {
    const locks = distLock(open(t))

    await assertLocksAt(redis, 0, '', locks)
  })

  test(`${name}: locks follow select()`, async (t) => {
    const client = open(t)
    const locks = distLock(client)
    await kind.ready(client)
    await assertLocksAt(redis, 0, '', locks)

    const resource = newResource()
    const selected = kind.select(client, 5) // Not answered when the lock is asked for.
    const lock = await locks.acquire(resource)
    await selected
    assert.equal(await idAt(redis, 5, `lock:${resource}`), lock.id)

    await kind.select(client, 6)
    await assertLocksAt(redis, 6, '', locks)
  })

  test(`${name}: locks use the client's password`, async (t) => {
    const client = open(t, { port: guarded.port, password: 'pw' })

    await assertLocksAt(guarded, 0, '', distLock(client))
  })

  test(`${name}: a wrong password gives an error that does not show it`, async (t) => {
    const client = open(t, { port: guarded.port, password: 'wrong12' })
    client.on('error', () => {})

    await assert.rejects(distLock(client).acquire('a', { timeout: 3000 }), (error) => {
      assert.doesNotMatch(require('node:util').inspect(error, { depth: 9 }), /wrong12/)
      return error instanceof distLock.LockError
    })
  })

  test(`${name}: a password that the server does not ask for is no obstacle`, async (t) => {
    const client = open(t, { password: 'superfluous' })

    await assertLocksAt(redis, 0, '', distLock(client))
  })

  if (!kind.has('lazy')) {
    test(`${name}: locks use what auth() said before there was a connection`, async (t) => {
      const client = open(t, { port: guarded.port })
      client.on('error', () => {})
      kind.auth(client, 'pw').catch(() => {})

      await assertLocksAt(guarded, 0, '', distLock(client))
    })
  }

  if (kind.has('username')) {
    test(`${name}: locks use the client's ACL user`, async (t) => {
      const client = open(t, { port: restricted.port, username: 'ada', password: 'secret' })

      await assertLocksAt(restricted, 0, '', distLock(client))
    })

    test(`${name}: locks follow auth()`, async (t) => {
      const client = open(t, { port: restricted.port })
      const locks = distLock(client)
      await kind.ready(client)
      await assert.rejects(locks.acquire(newResource()), { redisCode: 'NOPERM' })

      await kind.auth(client, 'secret', 'ada')

      await assertLocksAt(restricted, 0, '', locks)
    })
  }

  if (kind.has('db')) {
    test(`${name}: locks are in the database of the options`, async (t) => {
      await assertLocksAt(redis, 3, '', distLock(open(t, { db: 3 })))
    })

    test(`${name}: locks are in the database of the URL`, async (t) => {
      const client = kind.open(t, { url: `${redis.url}/4` })

      await assertLocksAt(redis, 4, '', distLock(client))
    })
  }

  if (kind.has('prefix')) {
    test(`${name}: the client's prefix is part of the key and not of lock.key`, async (t) => {
      await assertLocksAt(redis, 0, 'app:', distLock(open(t, { prefix: 'app:' })))
    })
  }

  test(`${name}: locks go over the client's unix socket`, async (t) => {
    const client = kind.open(t, { path: redis.path })

    await assertLocksAt(redis, 0, '', distLock(client))

    assert.match(await ourConnections(redis), /redis\.sock/)
  })

  test(`${name}: locks go over IPv6`, { skip: !hasIPv6() && 'no IPv6 here' }, async (t) => {
    await assertLocksAt(redis, 0, '', distLock(open(t, { host: '::1', family: 6 })))

    assert.match(await ourConnections(redis), /laddr=\[::1\]/)
  })

  for (const [method, close] of Object.entries(kind.closers)) {
    test(`${name}: after ${method}() every call fails`, async (t) => {
      const client = open(t)
      const locks = distLock(client)
      await kind.ready(client)
      const lock = await locks.acquire(newResource())

      close(client)

      const closed = { name: 'LockError', code: 'ERR_LOCK_CLOSED' }
      await assert.rejects(locks.acquire(newResource()), closed)
      await assert.rejects(locks.getAcquiredLock('a'), closed)
      await assert.rejects(lock.release(), closed)
      await assert.rejects(lock.extend(1000), closed)
    })

    test(`${name}: ${method}() ends a call that waits`, async (t) => {
      const client = open(t)
      const locks = distLock(client)
      await kind.ready(client)
      const resource = newResource()
      await locks.acquire(resource)

      const waiting = assert.rejects(locks.acquire(resource), { code: 'ERR_LOCK_CLOSED' })
      close(client)

      await waiting
    })
  }
}

for (const name of ['redis-5', 'redis-6', 'redis-client-5', 'redis-client-6']) {
  test(`${name}: speaking RESP 3, connected or not, it gives locks that are waited for`, async (t) => {
    const { createClient } = require(name)
    const client = createClient({ url: redis.url, database: 2, RESP: 3 })
    t.after(() => client.isOpen && client.destroy())
    await assertLocksAt(redis, 2, '', distLock(client))
    await client.connect()
    const locks = distLock(client)
    await assertLocksAt(redis, 2, '', locks)
    const resource = newResource()

    const lock = await locks.acquire(resource)
    const waiting = distLock(client, { connectTimeout: 9000 }).acquire(resource)
    assert.equal(await lock.release(), true)

    assert.equal(await (await waiting).release(), true)
    assert.equal((await client.hGetAll('nothing')).id, undefined, 'the client still works')
  })
}

test('managers share one connection, of all clients with equal settings', async (t) => {
  const own = await startRedis(t)
  const address = { host: '127.0.0.1', port: own.port }

  const clients = clientKinds.map((kind) => kind.open(t, address))
  const managers = clients.flatMap((client) => Array.from({ length: 5 }, () => distLock(client)))
  managers.push(distLock(`redis://127.0.0.1:${own.port}`), distLock(address))
  await Promise.all(managers.map((locks) => locks.acquire(newResource())))

  const connections = (await ourConnections(own)).split('\n')
  const forCommands = connections.filter((line) => /sub=0 psub=0/.test(line))
  assert.equal(forCommands.length, 1)
  assert.ok(connections.length <= 2, 'one more for messages')
})

/** The lines of CLIENT LIST of the connections this package opened. */
async function ourConnections(server) {
  const all = await server.command('CLIENT', 'LIST')
  return all
    .split('\n')
    .filter((line) => line.includes('name=dist-lock'))
    .join('\n')
}
