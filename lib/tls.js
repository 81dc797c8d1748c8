'use strict'

const { createPrivateKey } = require('node:crypto')
const tls = require('node:tls')
const { Guarded, shown } = require('./guarded.js')

/**
 * The options of Node's `tls.connect` that Rust honours, in one shape each. Absent when not set.
 *
 * - `ca`: PEM texts, each of one or more certificates; without it the system's, and those of the
 *   file `extraCa`
 * - `cert` and `key`: PEM texts, the key not encrypted
 * - `servername`, `rejectUnauthorized`, `minVersion`, `maxVersion`
 *
 * @typedef {Guarded & { ca?: string[], extraCa?: string, cert?: string, key?: string,
 *   servername?: string, rejectUnauthorized: boolean,
 *   minVersion?: 'TLSv1.3', maxVersion?: 'TLSv1.2' }} TlsSettings
 */

/** What changes who is trusted or what is spoken, and cannot be passed on: honoured or refused. */
const REFUSED = {
  ALPNProtocols: 'pass none, Redis speaks one protocol',
  ALPNCallback: 'pass none, Redis speaks one protocol',
  ciphers: 'pass `minVersion`: with TLSv1.3 all are strong',
  clientCertEngine: 'pass `cert` and `key` as PEM',
  crl: 'pass `ca` without the revoked authority',
  ecdhCurve: 'pass no curves',
  localAddress: 'pass no local address',
  localPort: 'pass no local port',
  lookup: 'pass the address as `host` and the name in its certificate as `servername`',
  pfx: 'pass `cert` and `key` as PEM',
  privateKeyEngine: 'pass `cert` and `key` as PEM',
  pskCallback: 'pass `cert` and `key`',
  secureContext: 'pass what it was made from: `ca`, `cert` and `key`',
  secureOptions: 'pass `minVersion` and `maxVersion`',
  secureProtocol: 'pass `minVersion` and `maxVersion`',
  sigalgs: 'pass no signature algorithms',
  socket: 'pass `host` and `port`',
}

const normalised = new WeakMap()

/**
 * @param {true | object} options `true`, or the options of `tls.connect`; others are ignored, as
 *   Node ignores them
 * @returns {TlsSettings}
 */
function tlsSettings(options) {
  // ioredis and node_redis take anything true for TLS, and copy the options of an object.
  if (typeof options !== 'object') return settingsOf({})
  let settings = normalised.get(options)
  if (!settings) {
    settings = settingsOf(options)
    normalised.set(options, settings)
  }
  return settings
}

function settingsOf(options) {
  refuse(options)
  const { ca, servername } = options
  const extraCa = process.env.NODE_EXTRA_CA_CERTS
  return new Guarded({
    ...(ca ? { ca: authorities(ca) } : extraCa && { extraCa }),
    ...clientCertificate(options),
    ...(servername && { servername: String(servername) }),
    rejectUnauthorized: rejectUnauthorized(options),
    ...versions(options),
  })
}

function authorities(ca) {
  const pems = [ca].flat()
  if (pems.length === 0) throw new TypeError('Expected the TLS option `ca` to name an authority')
  return pems.map((pem) => pemText('ca', pem))
}

function refuse(options) {
  for (const name of Object.keys(REFUSED)) {
    const value = options[name]
    if (value === undefined || value === null || value === false) continue
    if (name === 'ecdhCurve' && value === 'auto') continue
    throw new TypeError(`The TLS option \`${name}\` is not supported: ${REFUSED[name]}`)
  }
  const check = options.checkServerIdentity
  // Node asks it too with `rejectUnauthorized: false`, but then goes on whatever it says.
  if (check && check !== tls.checkServerIdentity && rejectUnauthorized(options)) {
    throw new TypeError(
      'The TLS option `checkServerIdentity` is not supported: pass the name in the certificate as `servername`',
    )
  }
}

function rejectUnauthorized({ rejectUnauthorized }) {
  if (rejectUnauthorized === undefined) return process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0'
  return rejectUnauthorized !== false
}

function clientCertificate({ cert, key, passphrase }) {
  if (!cert && !key) return {}
  if (!cert || !key) throw new TypeError('Expected the TLS options `cert` and `key` together')
  return {
    cert: pemText('cert', only('cert', cert)),
    key: privateKey(only('key', key), passphrase),
  }
}

function privateKey(value, passphrase) {
  const { pem = value, passphrase: own = passphrase } = Buffer.isBuffer(value) ? {} : value
  const key = pemText('key', pem)
  if (!/ENCRYPTED/.test(key)) return key
  try {
    return createPrivateKey({ key, passphrase: own }).export({ type: 'pkcs8', format: 'pem' })
  } catch (cause) {
    throw new TypeError(`The TLS option \`key\` cannot be decrypted: ${cause.message}`)
  }
}

function only(name, value) {
  if (!Array.isArray(value)) return value
  if (value.length === 1) return value[0]
  throw new TypeError(`Expected the TLS option \`${name}\` to be one PEM; got ${value.length}`)
}

function pemText(name, value) {
  const text = ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
    : value
  if (typeof text === 'string' && text.includes('-----BEGIN')) return text
  throw new TypeError(
    `Expected the TLS option \`${name}\` to be PEM text (-----BEGIN …), not the name of a file`,
  )
}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

/** Rust speaks 1.2 and 1.3, so only what narrows that is passed on. */
function versions(options) {
  const min = version('minVersion', options.minVersion || tls.DEFAULT_MIN_VERSION)
  const max = version('maxVersion', options.maxVersion || tls.DEFAULT_MAX_VERSION)
  if (max < VERSIONS.indexOf('TLSv1.2') || max < min) {
    throw new TypeError(
      `Expected the TLS option \`maxVersion\` to be 'TLSv1.2' or 'TLSv1.3' and not below \`minVersion\`; got ${shown(options.maxVersion)}`,
    )
  }
  return {
    ...(VERSIONS[min] === 'TLSv1.3' && { minVersion: 'TLSv1.3' }),
    ...(VERSIONS[max] === 'TLSv1.2' && { maxVersion: 'TLSv1.2' }),
  }
}

function version(name, value) {
  const index = VERSIONS.indexOf(value)
  if (index !== -1) return index
  throw new TypeError(
    `Expected the TLS option \`${name}\` to be 'TLSv1.2' or 'TLSv1.3'; got ${shown(value)}`,
  )
}

module.exports = { tlsSettings }
