'use strict'

const net = require('node:net')
const { startupNodes } = require('./cluster.js')
const { Guarded, shown } = require('./guarded.js')
const { tlsSettings } = require('./tls.js')

/**
 * What a row of `clients/` reads: the words of ConnectionSettings, still as the client has them.
 *
 * @typedef {object} Read
 * @property {string} [memory]
 * @property {string} [host]
 * @property {number | string} [port]
 * @property {number | string} [family]
 * @property {string} [path]
 * @property {number | string} [db]
 * @property {string} [username]
 * @property {string} [password]
 * @property {() => unknown} [credentials]
 * @property {boolean | object} [tls]
 * @property {unknown} [cluster]
 * @property {{ host: string, port?: number | string, family?: number | string }[]} [sentinels]
 * @property {string} [name]
 * @property {string} [sentinelUsername]
 * @property {string} [sentinelPassword]
 * @property {boolean | object} [sentinelTLS]
 * @property {Record<string, { host: string, port: number | string }>} [natMap]
 */

/**
 * Where and how to connect: all that Rust is told. Frozen; a key that is not set is absent.
 *
 * - `members`: the settings of independent servers; then there is nothing else
 * - `memory`: the name of a store in this process; then there is nothing else
 * - `host` and `port`, with `family` 4 or 6 when only that will do; or `path`, a unix socket; or
 *   `sentinels`, which say where the primary is; or `cluster`, some of its nodes
 * - `db`, always
 * - `username` and `password`, or `credentials()`, which is called when connecting
 * - `tls`, see `tls.js`
 *
 * @typedef {Guarded & { members?: ConnectionSettings[], memory?: string,
 *   sentinels?: SentinelSettings, cluster?: ClusterSettings, host?: string,
 *   port?: number, family?: 4 | 6, path?: string, db?: number, username?: string, password?: string,
 *   credentials?: () => Credentials | Promise<Credentials>, tls?: import('./tls.js').TlsSettings }} ConnectionSettings
 * @typedef {{ username?: string, password?: string }} Credentials
 * @typedef {{ host: string, port: number, family?: 4 | 6 }} Address
 * @typedef {Guarded & { addresses: Address[], name: string, username?: string, password?: string,
 *   tls?: import('./tls.js').TlsSettings, natMap?: Record<string, Address> }} SentinelSettings
 * @typedef {Guarded & { addresses: Address[], natMap?: Record<string, Address> }} ClusterSettings
 */

/**
 * @param {Read} read
 * @returns {ConnectionSettings}
 */
function connectionSettings(read) {
  if (read.memory !== undefined) return new Guarded({ memory: read.memory })
  if (isSet(read.cluster)) return clusterSettings(read)
  return new Guarded({
    ...(read.sentinels ? { sentinels: sentinels(read) } : server(read)),
    db: database(read.db),
    ...authentication(read),
    ...encryption(read),
  })
}

function server(read) {
  return isSet(read.path) ? { path: text('path', read.path) } : address(read)
}

/** @returns {Address} */
function address({ host, port, family }, defaultPort = 6379) {
  const name = isSet(host) ? text('host', host).replace(/^\[(.*)\]$/, '$1') : 'localhost'
  // An address is of its own family, whatever the client was told: Node ignores it too.
  const kind = net.isIP(name) ? undefined : addressFamily(family)
  return { host: name, port: portNumber(port, defaultPort), ...(kind && { family: kind }) }
}

function portNumber(value, byDefault) {
  const port = Number(value ?? byDefault)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new TypeError(`Expected \`port\` to be an integer from 1 to 65535; got ${shown(value)}`)
}

/** @returns {SentinelSettings} */
function sentinels(read) {
  const { name, sentinelUsername, sentinelPassword, sentinelTLS, natMap } = read
  if (!Array.isArray(read.sentinels) || !read.sentinels.every((one) => one?.host)) {
    throw new TypeError('Expected `sentinels` to be a list such as [{ host, port }]')
  }
  if (read.sentinels.length === 0) throw new TypeError('Expected `sentinels` to name one at least')
  if (typeof name !== 'string' || name === '') {
    throw new TypeError("Expected `name` to be the sentinels' name of the primary: mymaster")
  }
  const user = isSet(sentinelUsername) ? text('sentinelUsername', sentinelUsername) : ''
  const password = isSet(sentinelPassword) ? text('sentinelPassword', sentinelPassword) : ''
  return new Guarded({
    addresses: read.sentinels.map((one) => address({ family: read.family, ...one }, 26379)),
    name,
    ...(user && { username: user }),
    ...((user || password) && { password }),
    ...(sentinelTLS && { tls: tlsSettings(sentinelTLS) }),
    ...(isSet(natMap) && { natMap: addressMap(natMap) }),
  })
}

/** All nodes have the same users and speak the same, so what is said of one goes for all. */
function clusterSettings(read) {
  const nodes = startupNodes(read.cluster)
  const ofAny = (name) => nodes.find((node) => isSet(node[name]))?.[name]
  const login = isSet(read.password) || isSet(read.credentials) ? read : nodes.find(hasPassword)
  if (database(read.db) !== 0) {
    throw new TypeError(`Expected \`db\` to be 0 in a Cluster; got ${shown(read.db)}`)
  }
  return new Guarded({
    cluster: new Guarded({
      addresses: nodes.map((node) => address({ ...node, family: node.family ?? read.family })),
      ...(isSet(read.natMap) && { natMap: addressMap(read.natMap) }),
    }),
    db: 0,
    ...authentication(login ?? read),
    ...encryption({ tls: read.tls ?? ofAny('tls') }),
  })
}

function hasPassword({ password }) {
  return isSet(password) && password !== ''
}

/** @returns {Record<string, Address>} */
function addressMap(natMap) {
  const isMap = typeof natMap === 'object' && Object.values(natMap).every((to) => to?.host)
  if (!isMap) {
    throw new TypeError(
      "Expected `natMap` to be an object such as { '10.0.0.1:6379': { host, port } }",
    )
  }
  const entries = Object.entries(natMap).map(([from, to]) => [from, address(to)])
  return Object.fromEntries(entries)
}

function addressFamily(value) {
  if (!isSet(value) || value === 0 || value === '0') return undefined
  if (value === 4 || value === '4' || value === 'IPv4') return 4
  if (value === 6 || value === '6' || value === 'IPv6') return 6
  throw new TypeError(`Expected \`family\` to be 0, 4 or 6; got ${shown(value)}`)
}

function database(value) {
  const db = isSet(value) && value !== '' ? Number(value) : 0
  if (Number.isInteger(db) && db >= 0) return db
  throw new TypeError(`Expected \`db\` to be the number of a database; got ${shown(value)}`)
}

function authentication({ username, password, credentials }) {
  if (isSet(credentials)) {
    if (typeof credentials === 'function') return { credentials }
    throw new TypeError(`Expected \`credentials\` to be a function; got ${typeof credentials}`)
  }
  const user = isSet(username) ? text('username', username) : ''
  const secret = isSet(password) ? text('password', password) : ''
  // Redis takes a user with an empty password; without a user there is nothing to say.
  if (user) return { username: user, password: secret }
  return secret ? { password: secret } : {}
}

function encryption({ tls, path }) {
  if (!tls) return {}
  if (isSet(path)) {
    throw new TypeError(
      'TLS over a unix socket is not supported: pass `host` and `port`, or `path` without `tls`',
    )
  }
  return { tls: tlsSettings(tls) }
}

function text(name, value) {
  if (typeof value === 'string') return value
  if (typeof value === 'number' && name !== 'host' && name !== 'path') return String(value)
  // Not the value: it may be the password.
  throw new TypeError(`Expected \`${name}\` to be a string; got ${typeof value}`)
}

function isSet(value) {
  return value !== undefined && value !== null
}

module.exports = { connectionSettings }
