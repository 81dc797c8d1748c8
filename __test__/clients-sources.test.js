'use strict'

// What is no client: URLs, settings, and everything that is refused.

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const net = require('node:net')
const { inspect } = require('node:util')
const { test } = require('node:test')
const distLock = require('../index.js')
const { toSource } = require('../lib/source.js')
const { clientKinds } = require('./support/clients.js')

const settingsOf = (input) => ({ ...toSource(input).settings() })
const local = { host: 'localhost', port: 6379, db: 0 }

for (const [url, settings] of Object.entries({
  'redis://localhost': local,
  'redis://localhost/': local,
  'REDIS://localhost:7000/3': { ...local, port: 7000, db: 3 },
  'valkey://localhost?db=4': { ...local, db: 4 },
  'redis://localhost/4?db=4': { ...local, db: 4 },
  'redis://localhost?family=6': { ...local, family: 6 },
  'redis://[::1]:7000': { host: '::1', port: 7000, db: 0 },
  'redis://:pw@localhost': { ...local, password: 'pw' },
  'redis://ada:p%40s%2Fs%25@localhost': { ...local, username: 'ada', password: 'p@s/s%' },
  'redis://%C3%A4da@localhost': { ...local, username: 'äda', password: '' },
  'unix:///run/redis.sock': { path: '/run/redis.sock', db: 0 },
  'unix:///run/my%20redis.sock?db=2&username=ada&password=pw': {
    path: '/run/my redis.sock',
    db: 2,
    username: 'ada',
    password: 'pw',
  },
  'memory:': { memory: '' },
  'memory:orders': { memory: 'orders' },
})) {
  test(`the URL ${url} is understood`, () => {
    assert.deepEqual(settingsOf(url), settings)
    assert.deepEqual(settingsOf(new URL(url)), settings)
  })
}

test('a URL of sentinels names each of them, and what they call the primary', () => {
  const url = 'redis+sentinel://ada:p%40w@a,b:7000,[::1]:7001/3?name=main&sentinelPassword=s%2C'
  const { sentinels, ...settings } = settingsOf(url)

  assert.deepEqual(settings, { db: 3, username: 'ada', password: 'p@w' })
  assert.deepEqual(
    { ...sentinels },
    {
      addresses: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 7000 },
        { host: '::1', port: 7001 },
      ],
      name: 'main',
      password: 's,',
    },
  )
  assert.ok(!inspect(toSource(url).settings()).includes('s,'))
})

test('rediss+sentinel: encrypts what is said to the primary and to the sentinels', () => {
  const settings = toSource('rediss+sentinel://a?name=main').settings()

  assert.equal(settings.tls.rejectUnauthorized, true)
  assert.equal(settings.sentinels.tls.rejectUnauthorized, true)
})

for (const url of ['rediss://localhost', 'valkeys://localhost']) {
  test(`the URL ${url} means TLS`, () => {
    assert.equal(toSource(url).settings().tls.rejectUnauthorized, true)
  })
}

for (const [url, what] of Object.entries({
  localhost: 'it has no scheme',
  'http://localhost': 'its scheme is http:',
  'localhost:6379': 'its scheme is localhost:',
  'redis://': 'it has no host',
  'redis:///3': 'it has no host',
  'redis://h/1?db=2': 'it names two databases',
  'redis://h?password=hush': 'it has the unknown parameter `password`',
  'redis+sentinel://ada:hush@h1,h2': 'it has no parameter `name`',
  'redis+sentinel://ada:hush@/?name=m': 'it has no host',
  'redis+sentinel://h1,,h2?name=m': 'it has no host',
  'redis+sentinel://h1,h2?mame=m': 'it has the unknown parameter `mame`',
  'redis://h1,h2?name=m': 'it has the unknown parameter `name`',
  'redis://ada:hush#h@h': 'special characters in a password are percent-encoded',
  'redis://ada:hush%@h': 'it has a % that is not followed by two hexadecimal digits',
  'redis://ada:hush@h#x': 'it has a part after #, which in a password is written %23',
  'unix://run/redis.sock': 'a unix socket needs three slashes: unix:///path/to/redis.sock',
  'unix:///': 'it has no path',
})) {
  test(`the URL ${url} is refused, because ${what}`, () => {
    assert.throws(
      () => toSource(url),
      (error) => {
        assert.match(error.message, /^Expected the URL `source` to be like redis:/)
        assert.ok(error.message.endsWith(what), error.message)
        assert.doesNotMatch(inspect(error, { showHidden: true, depth: 9 }), /hush/)
        return error instanceof TypeError
      },
    )
  })
}

test('a database that is no number is refused', () => {
  const expected = 'Expected `db` to be the number of a database; got '

  assert.throws(() => toSource('redis://h/x'), { name: 'TypeError', message: `${expected}'x'` })
  assert.throws(() => toSource({ host: 'h', db: -1 }), { message: `${expected}-1` })
  assert.throws(() => toSource({ host: 'h', db: 1.5 }), { message: `${expected}1.5` })
})

test('settings are read once, with defaults for port and database', () => {
  const settings = { host: 'localhost', keyPrefix: 'app:', username: 'ada', password: 'pw' }
  const source = toSource(settings)
  settings.host = 'elsewhere'

  assert.deepEqual({ ...source.settings() }, { ...local, username: 'ada', password: 'pw' })
  assert.equal(source.settings(), source.settings())
  assert.equal(source.prefix(), 'app:')
  assert.equal(source.closed(), false)
  assert.deepEqual(settingsOf({ path: '/a', db: 2 }), { path: '/a', db: 2 })
  assert.deepEqual(settingsOf({ host: '::1', port: 1, family: 6 }), { host: '::1', port: 1, db: 0 })
  assert.deepEqual(settingsOf({ host: 'h', family: 0, password: undefined }), {
    ...local,
    host: 'h',
  })
})

test('a function for the password is asked at each connection', async () => {
  let token = 0
  const { credentials, ...rest } = settingsOf({
    ...local,
    username: 'ada',
    password: () => ++token,
  })

  assert.deepEqual(rest, local)
  assert.deepEqual(await credentials(), { username: 'ada', password: 1 })
  assert.deepEqual(await credentials(), { username: 'ada', password: 2 })
})

test('a function for the credentials is asked at each connection', () => {
  const credentials = () => ({ username: 'ada', password: 'pw' })

  assert.deepEqual(settingsOf({ ...local, credentials }), { ...local, credentials })
})

const EXPECTED =
  'Expected `source` to be a client of redis, @redis/client, ioredis or iovalkey, ' +
  'a URL such as redis://localhost:6379 (memory: in tests), or settings such as { host, port }; '

/** A mock as people write them: an object with some methods. */
class Mock extends EventEmitter {
  options = { password: 'hush' }
  evalsha() {}
}

for (const [settings, message] of [
  [{ sentinels: [], name: 'm' }, /^Expected `sentinels` to name one at least$/],
  [{ sentinels: 'h', name: 'm' }, /^Expected `sentinels` to be a list such as /],
  [{ sentinels: [{ port: 1 }], name: 'm' }, /^Expected `sentinels` to be a list such as /],
  [{ sentinels: [{ host: 'h' }] }, /^Expected `name` to be the sentinels' name of the primary/],
  [
    { sentinels: [{ host: 'h' }], name: 'm', natMap: { 'h:1': 'i:2' } },
    /^Expected `natMap` to be /,
  ],
]) {
  test(`sentinels such as ${inspect(settings)} are refused`, () => {
    assert.throws(() => distLock(settings), { name: 'TypeError', message })
  })
}

const refused = [
  ['nothing', undefined, 'got undefined'],
  ['null', null, 'got null'],
  ['a number', 7, 'got the number 7'],
  ['true', true, 'got the boolean true'],
  ['a function', () => {}, 'got a function'],
  ['a mock', new Mock(), /^got an object that is none of these, with the properties .*options/],
  ['an empty list', [], 'got an empty list'],
  ['empty settings', {}, 'settings need a `host`, a `path`, `sentinels` or a `cluster`'],
  [
    'settings without a host',
    { port: 6380 },
    'settings need a `host`, a `path`, `sentinels` or a `cluster`',
  ],
  [
    'settings with two addresses',
    { host: 'h', path: '/p' },
    'settings have either `host` or `path`',
  ],
  [
    'ioredis options',
    { host: 'h', maxRetriesPerRequest: 1 },
    /^got an object with `maxRetriesPerRequest`, which is no setting; /,
  ],
  [
    'sentinels of node-redis',
    { sentinelRootNodes: [] },
    /^settings have no `sentinelRootNodes`: pass `sentinels`/,
  ],
  [
    'a server and sentinels',
    { host: 'h', sentinels: [] },
    'settings have either `host` or `sentinels`',
  ],
  ['node-redis options', { host: 'h', database: 1 }, 'settings have no `database`: pass `db`'],
  ['a socket', { socket: {} }, 'settings have no `socket`: pass `host`, `port`, `path` and `tls`'],
  ['a prefix that is none', { host: 'h', keyPrefix: 5 }, '`keyPrefix` must be a string'],
  ['tls that is none', { host: 'h', tls: 'yes' }, '`tls` must be true or an object of TLS options'],
  [
    'two kinds of credentials',
    { host: 'h', password: 'hush', credentials: () => ({}) },
    'settings have either `credentials` or `username` and `password`',
  ],
]

for (const [name, input, message] of refused) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => distLock(input),
      (error) => {
        assert.ok(error.message.startsWith(EXPECTED), error.message)
        const reason = error.message.slice(EXPECTED.length)
        if (typeof message === 'string') assert.equal(reason, message)
        else assert.match(reason, message)
        assert.doesNotMatch(inspect(error), /hush/)
        return error instanceof TypeError
      },
    )
  })
}

for (const [setting, value, message] of [
  ['port', 0, 'Expected `port` to be an integer from 1 to 65535; got 0'],
  ['port', 'x', "Expected `port` to be an integer from 1 to 65535; got 'x'"],
  ['family', 5, 'Expected `family` to be 0, 4 or 6; got 5'],
  ['host', 5, 'Expected `host` to be a string; got number'],
  ['username', {}, 'Expected `username` to be a string; got object'],
  ['password', ['hush'], 'Expected `password` to be a string; got object'],
  ['credentials', 'hush', 'Expected `credentials` to be a function; got string'],
]) {
  test(`the setting ${setting} is refused as ${inspect(value)}`, () => {
    assert.throws(() => toSource({ host: 'h', [setting]: value }), { name: 'TypeError', message })
  })
}

const ADDRESS = { host: '127.0.0.1', port: 1 }

for (const name of ['ioredis-3', 'ioredis-4', 'ioredis-5', 'ioredis-6', 'iovalkey-0.4']) {
  if (!clientKinds.some((kind) => kind.name === name)) continue
  const module = require(name)
  const Redis = module.default ?? module
  const lazy = (options) => new Redis({ ...ADDRESS, lazyConnect: true, ...options })

  test(`${name}: a replica, a pipeline and a Connector are refused by name`, () => {
    const sentinel = (options) => lazy({ sentinels: [ADDRESS], name: 'm', ...options })
    assertRefused(sentinel({ role: 'slave' }), /^got a client with `role: 'slave'`: locks are held/)
    assertRefused(
      sentinel({ natMap: () => ADDRESS }),
      /^a `natMap` that is a function cannot be read/,
    )
    assertRefused(lazy().pipeline(), /^got a pipeline: pass the client it was made with$/)
    if (name === 'ioredis-3') return // It has no such option.
    const connecting = class {
      disconnect() {}
    }
    assertRefused(lazy({ Connector: connecting }), /^got a client with its own `Connector`, /)
  })
}

for (const name of [
  'redis-4',
  'redis-5',
  'redis-6',
  'redis-client-4',
  'redis-client-5',
  'redis-client-6',
]) {
  if (!clientKinds.some((kind) => kind.name === name)) continue
  const redis = require(name)

  test(`${name}: Sentinel and a pool are refused by name`, () => {
    if (name.endsWith('4')) return // It has neither.
    const sentinel = redis.createSentinel({ name: 'm', sentinelRootNodes: [ADDRESS] })
    assertRefused(sentinel, /^a Sentinel client .* pass the settings { sentinels: /)
    assertRefused(redis.createClientPool({ socket: ADDRESS }), /^got a pool: pass /)
  })

  test(`${name}: a socket that cannot be reproduced is refused`, () => {
    const client = (socket) => redis.createClient({ socket: { ...ADDRESS, ...socket } })

    assertRefused(client({ lookup: () => {} }), /^`socket.lookup` cannot be reproduced: pass /)
    assertRefused(client({ tls: {} }), '`socket.tls` must be true, with the TLS options beside it')
  })

  test(`${name}: a client without options is one of localhost`, () => {
    const client = redis.createClient()

    assert.deepEqual(settingsOf(client), local)
  })
}

for (const name of [
  'redis-0.8',
  'redis-0.10',
  'redis-0.12',
  'redis-1.0',
  'redis-2.8',
  'redis-3.1',
]) {
  test(`${name}: a client over a stream of its own is refused`, (t) => {
    const { RedisClient } = require(name)
    const stream = new net.Socket()
    const client = /[23]\./.test(name)
      ? new RedisClient({}, stream)
      : new RedisClient(stream, { no_ready_check: true })
    t.after(() => client.end(true))

    assertRefused(
      client,
      /^got a client with a stream of its own, which cannot be reproduced: pass /,
    )
  })
}

function assertRefused(client, message) {
  const listeners = client.listenerCount?.('error')
  assert.throws(
    () => toSource(client),
    (error) => {
      assert.ok(error.message.startsWith(EXPECTED), error.message)
      const reason = error.message.slice(EXPECTED.length)
      if (typeof message === 'string') assert.equal(reason, message)
      else assert.match(reason, message)
      return error instanceof TypeError
    },
  )
  assert.equal(client.listenerCount?.('error'), listeners, 'it was left alone')
}
