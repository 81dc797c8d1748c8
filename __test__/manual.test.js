'use strict'

const assert = require('node:assert/strict')
const channels = require('node:diagnostics_channel')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const ts = require('typescript')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')

const ROOT = path.join(__dirname, '..')
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')
const index = declarations('index.d.ts')
const source = declarations('source.d.ts')
const diagnostics = declarations('diagnostics.d.ts')
const web = declarations('web-locks.d.ts')

test('every export in index.d.ts exists, and no other', () => {
  assert.deepEqual(members(index, 'DistLockFactory'), Object.keys(distLock).sort())
})

test('every method of a manager in index.d.ts exists, and no other', () => {
  const locks = distLock('memory:')

  assert.deepEqual(members(index, 'DistLock'), Object.keys(locks).sort())
  assert.equal(typeof locks[asyncDispose], 'function')
})

test('every property of a lock in index.d.ts exists, and no other', async () => {
  const locks = distLock('memory:')

  const lock = await locks.acquire('properties')
  const details = await locks.getAcquiredLock('properties')
  await lock.release()

  const beside = Object.getOwnPropertyNames(Object.getPrototypeOf(lock))
  assert.deepEqual(members(index, 'Lock'), [...Object.keys(lock), ...beside].sort())
  assert.equal(typeof lock[asyncDispose], 'function')
  const beyond = ['fencingToken', 'remaining', 'resource']
  assert.deepEqual(members(index, 'LockDetails'), [...Object.keys(details), ...beyond].sort())
  assert.equal(details.resource, 'properties')
  assert.equal(details.fencingToken, lock.fencingToken)
  assert.ok(details.remaining > 0 && details.remaining <= 30000)
})

test('every option of request in web-locks.d.ts is read, and no other', async () => {
  const options = recorder()

  await distLock('memory:').request('options', options.proxy, () => {})

  assert.deepEqual(members(web, 'RequestOptions'), options.names())
})

test('every property of a lock that request gives is in web-locks.d.ts, and no other', async () => {
  await distLock('memory:').request('properties', (lock) => {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(lock))
    const described = members(web, 'WebLock')
    assert.deepEqual(described, names.filter((name) => name !== 'constructor').sort())
  })
})

test('every property of what query tells is in web-locks.d.ts, and no other', async () => {
  const locks = distLock('memory:')
  const [held, waits] = [{ permits: 1 }, { permits: 1, timeout: 20_000 }]
  const lock = await locks.acquire('a', held)
  const next = locks.acquire('a', waits)

  let snapshot
  await eventually(async () => (snapshot = await locks.query()).pending.length === 1, 'it waits')
  await lock.release()
  await (await next).release()

  assert.deepEqual(members(web, 'LockSnapshot'), Object.keys(snapshot).sort())
  assert.deepEqual(members(web, 'HeldLock'), Object.keys(snapshot.held[0]).sort())
  assert.deepEqual(members(web, 'PendingLock'), Object.keys(snapshot.pending[0]).sort())
})

test('every state of a lock in index.d.ts is one', () => {
  const state = index.checker
    .getDeclaredTypeOfSymbol(index.symbols.get('Lock'))
    .getProperty('state')
  const { types } = index.checker.getTypeOfSymbol(state)

  const described = types.map(({ value }) => value).sort()
  assert.deepEqual(described, ['held', 'lost', 'released', 'suspect'])
})

test('every count in diagnostics.d.ts is told, and no other', () => {
  const stats = distLock('memory:').stats()

  assert.deepEqual(members(diagnostics, 'Stats'), Object.keys(stats).sort())
  for (const histogram of [stats.wait, stats.hold])
    assert.deepEqual(members(diagnostics, 'Histogram'), Object.keys(histogram).sort())
})

test('every property of a message in diagnostics.d.ts is told, and no other', async (t) => {
  const told = {}
  for (const name of ['grant', 'release', 'extend', 'lost', 'connection', 'tracing']) {
    const channel = name === 'tracing' ? 'tracing:dist-lock:acquire:asyncEnd' : `dist-lock:${name}`
    const listen = (message) => Object.assign((told[name] ??= {}), message)
    channels.subscribe(channel, listen)
    t.after(() => channels.unsubscribe(channel, listen))
  }
  const locks = distLock('memory:')

  const lock = await locks.acquire('a', { ttl: 60000 })
  await lock.extend(50)
  await eventually(() => told.lost, 'a loss')
  await lock.release()
  await locks.close()
  await assert.rejects(locks.acquire('a'))
  await assert.rejects(locks.extendLock('a', 'id', 1))
  await assert.rejects(locks.releaseLock('a', 'id'))
  const nowhere = distLock('redis://127.0.0.1:1', { connectTimeout: 10 })
  await assert.rejects(nowhere.acquire('a'))
  await eventually(() => told.connection, 'no connection')

  const types = {
    grant: 'GrantMessage',
    release: 'ReleaseMessage',
    extend: 'ExtendMessage',
    lost: 'LostMessage',
    connection: 'ConnectionMessage',
    tracing: 'AcquireContext',
  }
  for (const [name, type] of Object.entries(types))
    assert.deepEqual(members(diagnostics, type), Object.keys(told[name]).sort(), name)
})

test('every option of close in index.d.ts is read, and no other', async () => {
  const options = recorder()

  await distLock('memory:').close(options.proxy)

  assert.deepEqual(members(index, 'CloseOptions'), options.names())
})

test('every property of what info tells in index.d.ts is one', async () => {
  const names = members(index, 'Info')

  for (const name of Object.keys(await distLock('memory:').info())) assert.ok(names.includes(name))
})

test('every property of a LockLostError in index.d.ts exists', () => {
  const error = new distLock.LockLostError('a', 'over')

  const others = ['cause', 'redisCode', 'wanted', 'got']
  for (const name of members(index, 'LockLostError')) {
    if (!others.includes(name)) assert.notEqual(error[name], undefined, name)
  }
})

test('every property of a LockError in index.d.ts exists', () => {
  const replicas = { wanted: 2, got: 1 }
  const redis = { code: 'ERR_LOCK_REDIS', redisCode: 'OOM' }
  const details = { ...redis, resource: 'a', ...replicas, cause: new Error() }
  const error = new distLock.LockError('text', details)

  for (const name of members(index, 'LockError')) assert.notEqual(error[name], undefined, name)
})

test('the codes in index.d.ts are those in the code', () => {
  const files = ['lib', 'src'].flatMap((directory) => sources(path.join(ROOT, directory)))
  const text = files.map((file) => fs.readFileSync(file, 'utf8')).join()
  const used = new Set(text.match(/\bERR_LOCK_[A-Z]+(_[A-Z]+)*\b/g))

  const { types } = index.checker.getDeclaredTypeOfSymbol(index.symbols.get('LockErrorCode'))
  const described = types.map(({ value }) => value)

  assert.deepEqual(described.sort(), [...used].sort())
})

test('every option in index.d.ts is read, and no other', async () => {
  const options = recorder()
  const own = recorder()

  const lock = await distLock('memory:', options.proxy).acquire('options', own.proxy)
  await lock.release()

  assert.deepEqual(members(index, 'Options'), options.names())
  assert.deepEqual(members(index, 'AcquireOptions'), own.names())
})

test('the defaults in index.d.ts are those that options are filled in with', () => {
  const options = {}
  distLock('memory:', options)

  for (const [name, value] of Object.entries(options)) {
    assert.equal(defaultOf(index, 'Options', name), inspect(value), name)
  }
})

test('every setting in source.d.ts is one, and no other is', () => {
  const names = new Set([...members(source, 'HostSettings'), ...members(source, 'SocketSettings')])
  const open = (name) => distLock({ [name]: undefined, host: 'localhost' })
  const openCluster = (name) => distLock({ [name]: undefined, cluster: ['localhost'] })

  for (const name of names) assert.doesNotThrow(() => open(name), name)
  for (const name of members(source, 'ClusterSettings')) {
    if (name !== 'cluster') assert.doesNotThrow(() => openCluster(name), name)
  }
  assert.throws(() => open('another'), TypeError)
})

test('every TLS option in source.d.ts is read', () => {
  const tls = recorder()
  distLock({ host: 'localhost', tls: tls.proxy })

  const missing = members(source, 'TlsSettings').filter((name) => !tls.names().includes(name))
  assert.deepEqual(missing, [])
})

/** What a file declares by name. */
function declarations(file) {
  const name = path.join(ROOT, file)
  const program = ts.createProgram([name], { types: [], target: ts.ScriptTarget.ES2022 })
  const checker = program.getTypeChecker()
  const exported = checker.getExportsOfModule(
    checker.getSymbolAtLocation(program.getSourceFile(name)),
  )
  return { checker, symbols: new Map(exported.map((symbol) => [symbol.name, symbol])) }
}

/** The names of its properties, without those that are symbols. */
function members({ checker, symbols }, type) {
  return checker
    .getDeclaredTypeOfSymbol(symbols.get(type))
    .getProperties()
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('__@'))
    .sort()
}

function defaultOf({ checker, symbols }, type, name) {
  const property = checker.getDeclaredTypeOfSymbol(symbols.get(type)).getProperty(name)
  const tag = property.getJsDocTags(checker).find((tag) => tag.name === 'default')
  return ts.displayPartsToString(tag.text)
}

function inspect(value) {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

/** An object that remembers which of its properties were asked for. */
function recorder() {
  const names = new Set()
  const proxy = new Proxy(
    {},
    {
      get(target, name) {
        if (typeof name === 'string') names.add(name)
        return Reflect.get(target, name)
      },
    },
  )
  return { proxy, names: () => [...names].sort() }
}

function sources(directory) {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(directory, entry.name)
    return entry.isDirectory() ? sources(file) : [file]
  })
}
