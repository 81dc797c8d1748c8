'use strict'

const SETTINGS = [
  ...['host', 'port', 'family', 'path', 'cluster', 'db'],
  ...['username', 'password', 'credentials', 'tls', 'keyPrefix'],
  ...['sentinels', 'name', 'sentinelUsername', 'sentinelPassword', 'sentinelTLS', 'natMap'],
]

/** What the clients call our settings. */
const OTHER_NAMES = {
  auth_pass: 'password',
  database: 'db',
  hostname: 'host',
  pass: 'password',
  nodeAddressMap: 'natMap',
  prefix: 'keyPrefix',
  rootNodes: 'cluster',
  sentinelRootNodes: 'sentinels',
  socket: 'host`, `port`, `path` and `tls',
  startupNodes: 'cluster',
  user: 'username',
}

/** Settings in a plain object. */
module.exports = {
  name: 'settings',

  is(input) {
    if (typeof input !== 'object' || input === null) return false
    const prototype = Object.getPrototypeOf(input)
    return prototype === Object.prototype || prototype === null
  },

  refuse(input) {
    for (const name of Object.keys(input)) {
      if (SETTINGS.includes(name)) continue
      const instead = OTHER_NAMES[name]
      if (instead) return `settings have no \`${name}\`: pass \`${instead}\``
      return `got an object with \`${name}\`, which is no setting; settings are ${SETTINGS.join(', ')}`
    }
    const places = ['host', 'path', 'sentinels', 'cluster'].filter((name) => isSet(input[name]))
    if (places.length === 0) return 'settings need a `host`, a `path`, `sentinels` or a `cluster`'
    if (places.length > 1) return `settings have either ${places.map(quoted).join(' or ')}`
    if (typeof (input.keyPrefix ?? '') !== 'string') return '`keyPrefix` must be a string'
    return refuseCredentials(input)
  },

  read: ({ keyPrefix, username, password, credentials, ...others }) => ({
    ...others,
    ...(typeof password === 'function'
      ? { credentials: withPassword(username, password) }
      : { username, password, credentials }),
  }),

  prefix: (input) => input.keyPrefix ?? '',
}

function refuseCredentials({ username, password, credentials, tls }) {
  if (isSet(credentials) && (isSet(username) || isSet(password))) {
    return 'settings have either `credentials` or `username` and `password`'
  }
  if (isSet(tls) && typeof tls !== 'boolean' && typeof tls !== 'object') {
    return '`tls` must be true or an object of TLS options'
  }
}

/** A password that is asked for at each connection, as credentials. */
function withPassword(username, password) {
  return async () => ({ username, password: await password() })
}

function quoted(name) {
  return `\`${name}\``
}

function isSet(value) {
  return value !== undefined && value !== null
}
