'use strict'

// What a program tells its client later: select(), auth(), quit().

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { toSource } = require('../lib/source.js')
const { clientKinds } = require('./support/clients.js')
const { startRedis } = require('./support/redis.js')

const ADA = 'on >secret ~* &* +@all'

let redis
const starting = startRedis({ after }, { users: { default: 'on nopass ~* &* +@all', ada: ADA } })
before(async () => (redis = await starting))

for (const kind of clientKinds) {
  const { name } = kind
  const open = (t, settings) => kind.open(t, { host: '127.0.0.1', port: redis.port, ...settings })

  if (kind.has('keeps select')) {
    test(`${name}: select() before the source is made is followed`, async (t) => {
      const client = open(t)
      await kind.ready(client)
      await kind.select(client, 5)

      assert.equal(toSource(client).settings().db, 5)
    })
  }

  test(`${name}: select() of the same tick, not answered yet, is followed`, async (t) => {
    const client = open(t)
    const source = toSource(client)
    await kind.ready(client)

    const selected = kind.select(client, 5)
    assert.equal(source.settings().db, 5)
    await selected

    assert.equal(source.settings().db, 5)
  })

  if (!kind.has('lazy')) {
    test(`${name}: select() of the same tick, before it is connected, is followed`, async (t) => {
      const client = open(t)
      const selected = kind.select(client, 5)
      const source = toSource(client)

      assert.equal(source.settings().db, 5)
      await selected

      assert.equal(source.settings().db, 5)
    })
  }

  test(`${name}: select() after the first use is followed`, async (t) => {
    const client = open(t)
    const source = toSource(client)
    await kind.ready(client)
    const first = source.settings()
    assert.equal(first.db, 0)

    await kind.select(client, 5)
    const second = source.settings()
    await kind.select(client, 0)

    assert.equal(second.db, 5)
    assert.equal(source.settings().db, 0)
    assert.equal(first.db, 0)
  })

  test(`${name}: of two select() in one tick the second counts`, async (t) => {
    const client = open(t)
    const source = toSource(client)
    await kind.ready(client)

    const both = [kind.select(client, 5), kind.select(client, 6)]
    assert.equal(source.settings().db, 6)
    await Promise.all(both)

    assert.equal(source.settings().db, 6)
  })

  // ioredis itself believes it, and selects that database again when it reconnects.
  const believes = kind.has('believes a failed select')
  test(`${name}: a select() that failed is ${believes ? '' : 'not '}followed`, async (t) => {
    const client = open(t)
    const source = toSource(client)
    await kind.ready(client)
    await kind.select(client, 5)

    await assert.rejects(kind.select(client, 5000))

    assert.equal(source.settings().db, believes ? 5000 : 5)
  })

  test(`${name}: a select() among many commands is found`, async (t) => {
    const client = open(t)
    const source = toSource(client)
    await kind.ready(client)

    const answers = []
    for (let i = 0; i < 100; i++) {
      answers.push(kind.command(client, 'ping'))
      if (i === 50) answers.push(kind.select(client, 7))
      assert.equal(source.settings().db, i < 50 ? 0 : 7)
    }
    await Promise.all(answers)

    assert.equal(source.settings().db, 7)
  })

  test(`${name}: auth() is followed, and settings() makes a new object of it`, async (t) => {
    const client = open(t)
    const source = toSource(client)
    await kind.ready(client)
    const first = source.settings()

    const answered = kind.has('username')
      ? kind.auth(client, 'secret', 'ada')
      : kind.auth(client, 'secret').catch(() => {}) // The default user has no password.
    const second = source.settings()
    await answered

    assert.equal(second.password, 'secret')
    if (kind.has('username')) {
      assert.equal(second.username, 'ada')
      assert.equal(source.settings(), second)
    }
    assert.equal(first.password, undefined)
  })

  if (!kind.has('lazy')) {
    test(`${name}: auth() of the same tick, before it is connected, is followed`, async (t) => {
      const own = await startRedis(t, { password: 'secret' })
      const client = open(t, { port: own.port })
      kind.auth(client, 'secret').catch(() => {}) // Answered or not.

      assert.equal(toSource(client).settings().password, 'secret')
    })
  }

  if (!kind.has('keeps auth')) {
    test(`${name}: an auth() that failed is not followed`, async (t) => {
      const client = open(t)
      const source = toSource(client)
      await kind.ready(client)
      const before = source.settings()

      const answered = assert.rejects(kind.auth(client, 'wrong'))
      assert.equal(source.settings().password, 'wrong')
      await answered

      assert.deepEqual({ ...source.settings() }, { ...before })
    })
  } else {
    test(`${name}: auth() before the source is made is followed`, async (t) => {
      const client = open(t)
      await kind.ready(client)
      await kind.auth(client, 'secret', kind.has('username') ? 'ada' : undefined).catch(() => {})

      assert.equal(toSource(client).settings().password, 'secret')
    })
  }

  test(`${name}: its database is kept while it reconnects`, async (t) => {
    const own = await startRedis(t)
    const client = kind.open(t, { host: '127.0.0.1', port: own.port })
    const source = toSource(client)
    await kind.ready(client)
    await kind.select(client, 5)

    const again = new Promise((resolve) => client.once('ready', resolve))
    await own.restart()
    assert.equal(source.settings().db, 5)
    assert.equal(source.closed(), false)
    await again
    // Answered after the select() with which it restores the database.
    await kind.command(client, 'ping')

    assert.equal(source.settings().db, 5)
    assert.equal(source.closed(), false)
  })

  for (const [method, close] of Object.entries(kind.closers)) {
    test(`${name}: closed by ${method}() it is closed at once and stays so`, async (t) => {
      const client = open(t)
      const source = toSource(client)
      await kind.ready(client)
      assert.equal(source.closed(), false)

      close(client)
      assert.equal(source.closed(), true)
      await everybodyLeft()

      assert.equal(source.closed(), true)
    })

    // Of one that did not connect by itself it is not to be told whether it ever did.
    if (!kind.has('lazy')) {
      test(`${name}: closed by ${method}() before the source is made it is closed`, async (t) => {
        const client = open(t)
        await kind.ready(client)

        close(client)

        assert.equal(toSource(client).closed(), true)
      })
    }
  }
}

/** All clients closed their connections; what remains is the one that asks. */
async function everybodyLeft() {
  while ((await redis.command('CLIENT', 'LIST')).trim().includes('\n'));
}
