'use strict'

// TLS as the client has it: honoured, or refused by name.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { test, before, after } = require('node:test')
const { createPrivateKey } = require('node:crypto')
const distLock = require('../index.js')
const { toSource } = require('../lib/source.js')
const { clientKinds } = require('./support/clients.js')
const { startRedis, certificates } = require('./support/redis.js')

const { ca, otherCa, client: identity, stranger, server, named } = certificates()

let redis // shows a certificate for localhost and its addresses
let strict // and asks for one
let elsewhere // shows one for another name
const starting = [
  startRedis({ after }, { tls: { certificate: server } }),
  startRedis({ after }, { tls: { certificate: server, authClients: 'yes' } }),
  startRedis({ after }, { tls: { certificate: named } }),
]
before(async () => ([redis, strict, elsewhere] = await Promise.all(starting)))

const address = ({ tlsPort }) => ({ host: '127.0.0.1', port: tlsPort })

let count = 0

async function assertLocks(server, source) {
  const resource = `tls:${++count}`
  const lock = await distLock(source).acquire(resource, { timeout: 10000 })
  assert.equal(await server.command('HGET', lock.key, 'id'), lock.id)
}

/** No lock, no key, and an error at that. */
async function assertNeverLocks(server, source) {
  const resource = `tls:${++count}`
  const locks = distLock(source, { connectTimeout: 200 })
  await assert.rejects(locks.acquire(resource), distLock.LockError)
  assert.equal(await server.command('EXISTS', `lock:${resource}`), 0)
}

for (const kind of clientKinds.filter((kind) => kind.has('tls'))) {
  const { name } = kind
  const open = (t, server, tls) => {
    // Where a client can wait it does: some throw when an authority is wrong.
    const client = kind.open(t, { ...address(server), tls, lazyConnect: true })
    client.on('error', () => {})
    return client
  }

  test(`${name}: its own authority is trusted`, async (t) => {
    await assertLocks(redis, open(t, redis, { ca: ca.cert }))
  })

  test(`${name}: without the right authority there is no lock`, async (t) => {
    await Promise.all([
      assertNeverLocks(redis, open(t, redis, { ca: otherCa.cert })),
      assertNeverLocks(redis, open(t, redis, {})),
    ])
  })

  test(`${name}: rejectUnauthorized: false is honoured`, async (t) => {
    await assertLocks(redis, open(t, redis, { rejectUnauthorized: false }))
    await assertLocks(elsewhere, open(t, elsewhere, { rejectUnauthorized: false }))
  })

  test(`${name}: its certificate is shown to a server that asks for it`, async (t) => {
    const { cert, key } = identity
    await assertLocks(strict, open(t, strict, { ca: ca.cert, cert, key }))
  })

  test(`${name}: without a certificate that the server accepts there is no lock`, async (t) => {
    const { cert, key } = stranger
    await Promise.all([
      assertNeverLocks(strict, open(t, strict, { ca: ca.cert })),
      assertNeverLocks(strict, open(t, strict, { ca: ca.cert, cert, key })),
    ])
  })

  test(`${name}: servername is the name the certificate must have`, async (t) => {
    await assertLocks(elsewhere, open(t, elsewhere, { ca: ca.cert, servername: 'redis.test' }))
    await Promise.all([
      assertNeverLocks(elsewhere, open(t, elsewhere, { ca: ca.cert })),
      assertNeverLocks(redis, open(t, redis, { ca: ca.cert, servername: 'redis.test' })),
    ])
  })

  test(`${name}: TLS options are read as they came and settings stay the same object`, (t) => {
    const { cert, key } = identity
    const tls = { ca: [Buffer.from(ca.cert), otherCa.cert], cert, key: Buffer.from(key) }
    const source = toSource(open(t, redis, { ...tls, servername: 'redis.test' }))

    assert.deepEqual(
      { ...source.settings().tls },
      {
        ca: [ca.cert, otherCa.cert],
        cert,
        key,
        servername: 'redis.test',
        rejectUnauthorized: true,
      },
    )
    assert.equal(source.settings(), source.settings())
    assert.doesNotMatch(require('node:util').inspect(source.settings(), { depth: 9 }), /PRIVATE/)
  })

  test(`${name}: a TLS option that cannot be honoured is refused by name`, (t) => {
    const client = open(t, redis, { ca: ca.cert, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })

    assert.throws(() => toSource(client), {
      name: 'TypeError',
      message:
        'The TLS option `ciphers` is not supported: pass `minVersion`: with TLSv1.3 all are strong',
    })
    assert.equal(client.listenerCount('error'), 1, 'it was left alone')
  })
}

for (const name of ['redis-3.1', 'redis-5', 'redis-6', 'ioredis-4', 'ioredis-5']) {
  const kind = clientKinds.find((kind) => kind.name === name)
  if (!kind) continue

  test(`${name}: rediss: in its URL means TLS`, async (t) => {
    const url = `rediss://localhost:${redis.tlsPort}`
    const client = kind.open(t, { url, lazyConnect: true })
    client.on('error', () => {})

    assert.equal(toSource(client).settings().tls.rejectUnauthorized, true)
    await assertNeverLocks(redis, client)
  })
}

const tlsOf = (tls) => toSource({ host: 'h', tls }).settings().tls

test('a settings object takes TLS options, and a URL means the defaults', async () => {
  await assertLocks(redis, { ...address(redis), tls: { ca: ca.cert } })
  await assertNeverLocks(redis, { ...address(redis), tls: true })
  await assertNeverLocks(redis, `rediss://localhost:${redis.tlsPort}`)
})

test('an encrypted key is decrypted with its passphrase', () => {
  const key = createPrivateKey(identity.key).export({
    ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' },
  })
  const plain = createPrivateKey(identity.key).export({ type: 'pkcs8', format: 'pem' })

  assert.equal(tlsOf({ cert: identity.cert, key, passphrase: 'open sesame' }).key, plain)
  assert.equal(
    tlsOf({ cert: identity.cert, key: [{ pem: key, passphrase: 'open sesame' }] }).key,
    plain,
  )
  assert.throws(
    () => tlsOf({ cert: identity.cert, key, passphrase: 'swordfish' }),
    (error) => {
      assert.match(error.message, /^The TLS option `key` cannot be decrypted: /)
      assert.doesNotMatch(error.message, /swordfish|sesame/)
      return error instanceof TypeError
    },
  )
})

test('versions of TLS narrow what is spoken', () => {
  assert.equal(tlsOf({ minVersion: 'TLSv1.3' }).minVersion, 'TLSv1.3')
  assert.equal(tlsOf({ maxVersion: 'TLSv1.2' }).maxVersion, 'TLSv1.2')
  assert.deepEqual(Object.keys(tlsOf({ minVersion: 'TLSv1', ca: ca.cert })), [
    'ca',
    'rejectUnauthorized',
  ])
  for (const maxVersion of ['TLSv1.1', 'SSLv3', 7]) {
    assert.throws(() => tlsOf({ maxVersion }), { name: 'TypeError', message: /`maxVersion`/ })
  }
})

test('what Node itself ignores is no obstacle', () => {
  const checkServerIdentity = () => undefined

  assert.equal(tlsOf({ rejectUnauthorized: false, checkServerIdentity }).rejectUnauthorized, false)
  assert.equal(
    tlsOf({ ecdhCurve: 'auto', enableTrace: false, whatever: 1 }).rejectUnauthorized,
    true,
  )
})

for (const [option, value] of Object.entries({
  pfx: Buffer.from('…'),
  secureContext: {},
  crl: 'x',
  ALPNProtocols: ['x'],
  lookup: () => {},
  secureProtocol: 'TLSv1_method',
  checkServerIdentity: () => {},
})) {
  test(`the TLS option ${option} is refused by name`, () => {
    assert.throws(() => tlsOf({ [option]: value }), {
      name: 'TypeError',
      message: new RegExp(`^The TLS option \`${option}\` is not supported: pass `),
    })
  })
}

test('a certificate that is none is refused, and so is half an identity', () => {
  const { cert, key } = identity

  assert.throws(() => tlsOf({ ca: '/etc/ca.pem' }), {
    name: 'TypeError',
    message: /`ca` to be PEM/,
  })
  assert.throws(() => tlsOf({ ca: [] }), { name: 'TypeError', message: /`ca`/ })
  assert.throws(() => tlsOf({ cert }), { name: 'TypeError', message: /`cert` and `key` together/ })
  assert.throws(() => tlsOf({ cert: [cert, cert], key }), { name: 'TypeError', message: /got 2/ })
})

test('TLS over a unix socket is refused', () => {
  assert.throws(() => toSource({ path: '/a', tls: true }), { name: 'TypeError', message: /unix/ })
})

for (const [variable, value, expected] of [
  [
    'NODE_EXTRA_CA_CERTS',
    '/etc/extra.pem',
    { extraCa: '/etc/extra.pem', rejectUnauthorized: true },
  ],
  ['NODE_TLS_REJECT_UNAUTHORIZED', '0', { rejectUnauthorized: false }],
]) {
  test(`${variable} counts as it does for Node`, () => {
    const script = `const { toSource } = require('./lib/source.js')
      console.log(JSON.stringify(toSource('rediss://h').settings().tls))`
    const output = execFileSync(process.execPath, ['-e', script], {
      cwd: require('node:path').join(__dirname, '..'),
      env: { ...process.env, NODE_EXTRA_CA_CERTS: '', [variable]: value },
      stdio: ['ignore', 'pipe', 'ignore'],
    })

    assert.deepEqual(JSON.parse(output), expected)
  })
}
