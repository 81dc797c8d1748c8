'use strict'

// What a LockError is and what it never tells.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { inspect } = require('node:util')
const distLock = require('../index.js')
const { CALLS, assertLockError, failure } = require('./support/outcome.js')
const { freePort, startRedis } = require('./support/redis.js')

const { LockError } = distLock
/** Where nobody listens. */
const FAST = { connectTimeout: 500 }
const PASSWORD = 'vErY-s3cret'

let redis
const starting = startRedis({ after }, { password: PASSWORD })
before(async () => (redis = await starting))

/** Every text in which an error can end up in a log. */
function allTextsOf(error) {
  const texts = []
  for (let each = error; each !== undefined; each = each.cause) {
    texts.push(String(each), each.stack, JSON.stringify(each), JSON.stringify({ ...each }))
    texts.push(inspect(each, { depth: Infinity, showHidden: true, getters: true }))
  }
  return texts.join('\n')
}

async function errorFrom(source, options) {
  return failure(distLock(source, options).acquire('a'), FAST.connectTimeout)
}

test('a LockError is an Error with a name, a code and the resource', async () => {
  const error = await errorFrom(`redis://127.0.0.1:${await freePort()}`, FAST)

  assertLockError(error, {
    code: 'ERR_LOCK_UNREACHABLE',
    cause: 'ECONNREFUSED',
    resource: 'a',
  })
  assert.equal(Object.prototype.toString.call(error), '[object Error]')
  assert.match(error.stack, /^LockError: cannot reach Redis/)
})

test('the fields of a LockError are plain data, which JSON and a copy keep', async () => {
  const error = await errorFrom(redis.url)

  const expected = { code: 'ERR_LOCK_REDIS', resource: 'a', redisCode: 'NOAUTH' }
  assert.deepEqual({ ...error }, expected)
  assert.deepEqual(JSON.parse(JSON.stringify(error)), expected)
})

test('the cause of a LockError is an Error too', async () => {
  const { cause } = await errorFrom(redis.url)

  assert.ok(cause instanceof Error)
  assert.match(cause.message, /Authentication required/)
  assert.equal(cause.code, 'NOAUTH')
})

test('LockError.name is not printed twice and can be told from other errors', () => {
  const error = new LockError('no', { code: 'ERR_LOCK_UNREACHABLE' })

  assert.equal(error.name, 'LockError')
  assert.deepEqual(Object.keys(error), ['code'])
  assert.doesNotMatch(inspect(error), /name:/)
})

for (const { name, start, resource } of CALLS) {
  test(`${name}: an error is a LockError that names the resource`, async () => {
    const error = await failure(start(distLock(redis.url)), 500)

    assertLockError(error, {
      code: 'ERR_LOCK_REDIS',
      redisCode: 'NOAUTH',
      cause: 'NOAUTH',
      resource,
    })
  })
}

test('an error of a callback call comes after the call has returned', async () => {
  const locks = distLock(redis.url)
  let returned = false

  const wasReturned = new Promise((resolve) => locks.acquire('a', () => resolve(returned)))
  returned = true

  assert.equal(await wasReturned, true)
})

const WITH_PASSWORD = {
  'a URL': (port) => `redis://:${PASSWORD}@127.0.0.1:${port}`,
  'a URL with a user': (port) => `redis://ann:${PASSWORD}@127.0.0.1:${port}`,
  settings: (port) => ({ host: '127.0.0.1', port, password: PASSWORD }),
  'a password function': (port) => ({ host: '127.0.0.1', port, password: () => PASSWORD }),
  'a credentials function': (port) => ({
    host: '127.0.0.1',
    port,
    credentials: async () => ({ username: 'ann', password: PASSWORD }),
  }),
}

for (const [name, source] of Object.entries(WITH_PASSWORD)) {
  test(`the password of ${name} is in no text of an error`, async (t) => {
    const other = await startRedis(t, { password: 'another' })

    for (const port of [await freePort(), other.port]) {
      const error = await errorFrom(source(port), FAST)

      assert.ok(error instanceof LockError)
      assert.ok(!allTextsOf(error).includes(PASSWORD), allTextsOf(error))
    }
  })

  test(`the password of ${name} is not told when the server does not know AUTH`, async (t) => {
    const server = await startRedis(t, { args: ['--rename-command', 'AUTH', ''] })

    const error = await errorFrom(source(server.port))

    assert.equal(error.code, 'ERR_LOCK_REDIS')
    assert.ok(!allTextsOf(error).includes(PASSWORD), allTextsOf(error))
  })

  test(`the password of ${name} is in no text of its manager and locks`, async () => {
    const locks = distLock(source(redis.port), FAST)
    // A user `ann` does not exist: what counts is that the manager was used.
    const lock = await locks.acquire('a', { timeout: 500 }).catch(() => undefined)
    await lock?.release()

    for (const value of [locks, lock]) {
      const texts = [inspect(value, { depth: Infinity, showHidden: true }), JSON.stringify(value)]
      assert.ok(!texts.join('\n').includes(PASSWORD), texts.join('\n'))
    }
  })
}

test('the password is not told when the source cannot be used', () => {
  const sources = [
    `redis://:${PASSWORD}%@localhost`,
    `redis://:${PASSWORD}@localhost:99999999`,
    `http://:${PASSWORD}@localhost`,
    { host: 'localhost', port: 'x', password: PASSWORD },
    { host: 'localhost', pass: PASSWORD },
    { host: 'localhost', password: { toString: () => PASSWORD } },
  ]
  for (const source of sources) {
    assert.throws(
      () => distLock(source),
      (error) => error instanceof TypeError && !allTextsOf(error).includes(PASSWORD),
    )
  }
})
