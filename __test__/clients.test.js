'use strict'

// What a client was made with, read before and without any connection.

const assert = require('node:assert/strict')
const { test, before } = require('node:test')
const { toSource } = require('../lib/source.js')
const { clientKinds } = require('./support/clients.js')
const { freePort } = require('./support/redis.js')

let port
before(async () => {
  port = await freePort() // Nobody listens there.
})

/** The settings as a plain object, to compare. */
const settingsOf = (client) => ({ ...toSource(client).settings() })

for (const kind of clientKinds) {
  const { name } = kind

  test(`${name}: its server is read before it is connected`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port })

    assert.deepEqual(settingsOf(client), { host: '127.0.0.1', port, db: 0 })
    assert.equal(toSource(client).prefix(), '')
    assert.equal(toSource(client).closed(), false)
  })

  test(`${name}: an IPv6 address is read`, (t) => {
    const client = kind.open(t, { host: '::1', port, family: 6 })

    assert.deepEqual(settingsOf(client), { host: '::1', port, db: 0 })
  })

  if (kind.has('family')) {
    test(`${name}: the kind of address a host name stands for is read`, (t) => {
      const client = kind.open(t, { host: 'localhost', port, family: 6 })

      assert.deepEqual(settingsOf(client), { host: 'localhost', port, family: 6, db: 0 })
    })
  }

  test(`${name}: a unix socket is read`, (t) => {
    const client = kind.open(t, { path: '/nowhere/redis.sock' })

    assert.deepEqual(settingsOf(client), { path: '/nowhere/redis.sock', db: 0 })
  })

  test(`${name}: a password is read and shown nowhere`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port, password: 'opensesame' })
    const source = toSource(client)

    assert.equal(source.settings().password, 'opensesame')
    assert.doesNotMatch(shownAnywhere(source), /opensesame/)
  })

  if (kind.has('username')) {
    test(`${name}: an ACL user is read`, (t) => {
      const client = kind.open(t, { host: '127.0.0.1', port, username: 'ada', password: 'pw' })

      const { username, password } = toSource(client).settings()
      assert.deepEqual({ username, password }, { username: 'ada', password: 'pw' })
    })
  }

  if (kind.has('db')) {
    test(`${name}: the option for the database is read`, (t) => {
      const client = kind.open(t, { host: '127.0.0.1', port, db: 3 })

      assert.deepEqual(settingsOf(client), { host: '127.0.0.1', port, db: 3 })
    })
  }

  if (kind.has('url')) {
    test(`${name}: a URL is read as the client reads it`, (t) => {
      const client = kind.open(t, { url: `redis://ada:p%40ss@127.0.0.1:${port}/4` })

      assert.deepEqual(settingsOf(client), {
        host: '127.0.0.1',
        port,
        db: kind.has('db') ? 4 : 0, // 1.0 takes no database there,
        ...(kind.has('username in URL') && { username: 'ada' }), // and some take no user.
        password: 'p@ss',
      })
    })
  }

  test(`${name}: its key prefix is read where it has one`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port, prefix: 'app:' })

    assert.equal(toSource(client).prefix(), kind.has('prefix') ? 'app:' : '')
  })

  test(`${name}: settings that did not change are the same object`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port, db: 1, password: 'pw' })
    const source = toSource(client)

    assert.equal(source.settings(), source.settings())
    assert.ok(Object.isFrozen(source.settings()))
  })

  test(`${name}: all managers of a client share a source and one error listener`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port })
    const listeners = client.listenerCount('error')

    const sources = new Set(Array.from({ length: 100 }, () => toSource(client)))

    assert.equal(sources.size, 1)
    assert.equal(client.listenerCount('error'), listeners + 1)
    client.emit('error', new Error('nobody else listens, and nothing is thrown'))
  })
}

for (const kind of clientKinds.filter(({ name }) => /redis-(client-)?[56]/.test(name))) {
  if (/ioredis/.test(kind.name)) continue

  test(`${kind.name}: a credentials provider is asked at each connection`, async (t) => {
    let asked = 0
    const credentialsProvider = {
      type: 'async-credentials-provider',
      credentials: async () => ({ username: 'ada', password: `token ${++asked}` }),
    }
    const client = kind.open(t, { host: '127.0.0.1', port, credentialsProvider })
    const { credentials, ...rest } = toSource(client).settings()

    assert.deepEqual(rest, { host: '127.0.0.1', port, db: 0 })
    assert.deepEqual(await credentials(), { username: 'ada', password: 'token 1' })
    assert.deepEqual(await credentials(), { username: 'ada', password: 'token 2' })
    assert.equal(toSource(client).settings().credentials, credentials)
  })

  test(`${kind.name}: a stream of credentials gives those of the moment`, async (t) => {
    let subscribed = 0
    const credentialsProvider = {
      type: 'streaming-credentials-provider',
      subscribe: async () => {
        subscribed++
        return [{ username: 'ada', password: 'token' }, { dispose: () => subscribed-- }]
      },
      onReAuthenticationError: assert.ifError,
    }
    const client = kind.open(t, { host: '127.0.0.1', port, credentialsProvider })

    const said = await toSource(client).settings().credentials()

    assert.deepEqual(said, { username: 'ada', password: 'token' })
    assert.equal(subscribed, 0)
  })

  test(`${kind.name}: an object that inherits from the client is that client`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port })

    assert.equal(toSource(client.withTypeMapping({})), toSource(client))
  })
}

for (const kind of clientKinds.filter(({ name }) => name.startsWith('io'))) {
  test(`${kind.name}: a client that connects lazily is open`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port, lazyConnect: true, db: 2 })

    assert.equal(toSource(client).settings().db, 2)
    assert.equal(toSource(client).closed(), false)
    assert.equal(client.status, 'wait')
  })

  test(`${kind.name}: a password that is replaced in its options is followed`, (t) => {
    const client = kind.open(t, { host: '127.0.0.1', port, password: 'old token' })
    const source = toSource(client)
    const before = source.settings()

    client.options.password = 'new token'

    assert.equal(source.settings().password, 'new token')
    assert.notEqual(source.settings(), before)
  })
}

function shownAnywhere(source) {
  const { inspect, format } = require('node:util')
  const settings = source.settings()
  return [
    inspect(source, { depth: 9, showHidden: true }),
    inspect(settings, { depth: 9 }),
    format('%o %O %j %s', settings, settings, settings, settings),
    JSON.stringify({ settings }),
    String(settings),
  ].join('\n')
}
