'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')

const distLock = require('..')
const { certificates } = require('./support/certificates.js')
const { assertLockError, failure } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-tls-'))
after(() => fs.rmSync(dir, { recursive: true, force: true }))

/** A certificate that signs itself, marked as an authority: what `openssl req -x509` makes. */
function selfSigned(
  name,
  { since = '20200101000000Z', until = '20500101000000Z', names = 'IP:127.0.0.1' } = {},
) {
  const file = (end) => path.join(dir, `${name}.${end}`)
  const [keyFile, certFile] = [file('key'), file('crt')]
  // `openssl req` cannot make one that has expired; `openssl ca` can, and wants a file for it.
  fs.writeFileSync(file('index'), '')
  fs.writeFileSync(
    file('cnf'),
    `[ca]
default_ca = this
[this]
database = ${file('index')}
new_certs_dir = ${dir}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
basicConstraints = critical,CA:TRUE
subjectAltName = ${names}
[req]
distinguished_name = any
`,
  )
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const config = ['-config', file('cnf')]
  const request = ['req', ...key, ...config, '-subj', '/CN=redis', '-keyout', keyFile]
  const sign = ['ca', '-selfsign', '-batch', ...config, '-keyfile', keyFile, '-in', file('csr')]
  const dates = ['-startdate', since, '-enddate', until]
  execFileSync('openssl', [...request, '-out', file('csr')], { stdio: 'ignore' })
  execFileSync('openssl', [...sign, ...dates, '-out', certFile, '-notext'], { stdio: 'ignore' })
  return { certFile, keyFile, cert: fs.readFileSync(certFile, 'utf8') }
}

/** Tries to get a lock from a server that shows `certificate`. */
async function acquireFrom(t, certificate, tls) {
  const redis = await startRedis(t, { tls: { certificate, authClients: 'no' } })
  const locks = distLock({ host: redis.host, port: redis.tlsPort, tls }, { connectTimeout: 10_000 })
  return locks.acquire('a')
}

test('a self-signed certificate is trusted when it is given as the authority', async (t) => {
  const certificate = selfSigned('given')

  assert.ok(await acquireFrom(t, certificate, { ca: certificate.cert }))
})

const refused = {
  'another certificate than the one given': () => ({
    certificate: selfSigned('shown'),
    ca: selfSigned('expected').cert,
  }),
  'a certificate for another host': () => {
    const certificate = selfSigned('elsewhere', { names: 'DNS:elsewhere.test' })
    return { certificate, ca: certificate.cert }
  },
  'an expired certificate': () => {
    const certificate = selfSigned('expired', { until: '20210101000000Z' })
    return { certificate, ca: certificate.cert }
  },
  'a certificate that is not valid yet': () => {
    const certificate = selfSigned('early', { since: '20490101000000Z' })
    return { certificate, ca: certificate.cert }
  },
  'a certificate of an unknown authority': () => ({
    certificate: certificates().server,
    ca: certificates().otherCa.cert,
  }),
  'a certificate no authority of the platform has signed': () => ({
    certificate: certificates().server,
  }),
}

for (const [what, make] of Object.entries(refused)) {
  test(`${what} is refused at once and never gives a lock`, async (t) => {
    const { certificate, ca } = make()

    const error = await failure(acquireFrom(t, certificate, ca ? { ca } : {}), 1500)

    const details = { cause: /certificate/i, resource: 'a' }
    assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', ...details })
    assert.match(error.message, /^cannot trust Redis: /)
  })
}

const unwelcome = {
  'no certificate': () => ({}),
  'a certificate of an authority it does not know': () => {
    const { cert, key } = certificates().stranger
    return { cert, key }
  },
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  const args = ['--tls-protocols', version]
  const { ca, client, server } = certificates()
  const start = (t, authClients) =>
    startRedis(t, { tls: { certificate: server, authClients }, args })
  const locksOf = ({ host, tlsPort }, tls) =>
    distLock({ host, port: tlsPort, tls: { ca: ca.cert, ...tls } }, { connectTimeout: 10_000 })

  test(`a server that speaks ${version} alone is spoken to`, async (t) => {
    const redis = await start(t, 'no')

    for (const tls of [{}, { minVersion: version }, { maxVersion: version }]) {
      assert.equal(await (await locksOf(redis, tls).acquire('a')).release(), true)
    }
  })

  test(`a server that speaks ${version} alone gives no lock to who speaks another`, async (t) => {
    const redis = await start(t, 'no')
    const tls = version === 'TLSv1.2' ? { minVersion: 'TLSv1.3' } : { maxVersion: 'TLSv1.2' }

    const error = await failure(locksOf(redis, tls).acquire('a'), 1500)

    assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', cause: /version/i, resource: 'a' })
    assert.match(error.message, /^Redis refuses the encrypted connection: /)
  })

  test(`a server that wants a certificate takes ours, over ${version}`, async (t) => {
    const { cert, key } = client
    const redis = await start(t, 'yes')

    assert.equal(await (await locksOf(redis, { cert, key }).acquire('a')).release(), true)
  })

  for (const [what, make] of Object.entries(unwelcome)) {
    test(`a server that is shown ${what} over ${version} says no at once`, async (t) => {
      const redis = await start(t, 'yes')

      const error = await failure(locksOf(redis, make()).acquire('a'), 1500)

      assertLockError(error, { code: 'ERR_LOCK_UNREACHABLE', cause: /alert/, resource: 'a' })
      assert.match(error.message, /^Redis refuses the encrypted connection: /)
      assert.equal(await redis.command('EXISTS', 'lock:a'), 0)
    })
  }
}

test('a PEM that holds no certificate is a TypeError that names the option', async () => {
  const ca = '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'
  const locks = distLock({ host: '127.0.0.1', port: 1, tls: { ca } })

  await assert.rejects(locks.acquire('a'), {
    name: 'TypeError',
    message: /^the TLS option `ca` cannot be used: /,
  })
})
