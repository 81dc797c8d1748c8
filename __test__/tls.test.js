'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')

const distLock = require('..')
const { certificates } = require('./support/certificates.js')
const { startRedis } = require('./support/redis.js')

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-tls-'))
after(() => fs.rmSync(dir, { recursive: true, force: true }))

/** A certificate that signs itself, marked as an authority: what `openssl req -x509` makes. */
function selfSigned(name, { until = '20500101000000Z', names = 'IP:127.0.0.1' } = {}) {
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
  const dates = ['-startdate', '20200101000000Z', '-enddate', until]
  execFileSync('openssl', [...request, '-out', file('csr')], { stdio: 'ignore' })
  execFileSync('openssl', [...sign, ...dates, '-out', certFile, '-notext'], { stdio: 'ignore' })
  return { certFile, keyFile, cert: fs.readFileSync(certFile, 'utf8') }
}

/** Tries to get a lock from a server that shows `certificate`. */
async function acquireFrom(t, certificate, tls) {
  const redis = await startRedis(t, { tls: { certificate, authClients: 'no' } })
  const locks = distLock({ host: redis.host, port: redis.tlsPort, tls }, { connectTimeout: 3000 })
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

    await assert.rejects(acquireFrom(t, certificate, ca ? { ca } : {}), {
      name: 'LockError',
      code: 'ERR_LOCK_UNREACHABLE',
      message: /^cannot trust Redis: /,
    })
  })
}

test('a PEM that holds no certificate is a TypeError that names the option', async () => {
  const ca = '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'
  const locks = distLock({ host: '127.0.0.1', port: 1, tls: { ca } })

  await assert.rejects(locks.acquire('a'), {
    name: 'TypeError',
    message: /^the TLS option `ca` cannot be used: /,
  })
})
