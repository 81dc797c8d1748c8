'use strict'

const { Manager } = require('../manager.js')
const { withDefaults } = require('../options.js')
const { toSource } = require('../source.js')
const { duration } = require('./duration.js')
const { UsageError } = require('./errors.js')

/** The options of every command that asks Redis. */
const CONNECTION_OPTIONS = {
  url: { type: 'string' },
  prefix: { type: 'string' },
  'connect-timeout': { type: 'string' },
}

const DEFAULT_URL = 'redis://localhost:6379'

/**
 * The manager for what the command line and the environment say.
 *
 * @param {Record<string, any>} values   of the options above
 * @param {object} [options]   of the manager besides
 */
function connect(values, options) {
  const environment = process.env
  const url = values.url ?? environment.DIST_LOCK_URL ?? environment.REDIS_URL ?? DEFAULT_URL
  const connectTimeout = duration('connect-timeout', values['connect-timeout'] ?? '10s', {
    least: 1,
  })
  const keyPrefix = values.prefix ?? environment.DIST_LOCK_PREFIX ?? 'lock:'
  try {
    const source = toSource(withCredentials(url, environment))
    return new Manager(source, withDefaults({ keyPrefix, connectTimeout, ...options }))
  } catch (error) {
    throw new UsageError(error.message.replace('Expected the URL `source`', 'Expected --url'))
  }
}

/** A password on the command line is seen by all users of a machine, so it may come separately. */
function withCredentials(url, environment) {
  const { DIST_LOCK_USERNAME: username, DIST_LOCK_PASSWORD: password } = environment
  if (!password || url.startsWith('memory:')) return url
  let full
  try {
    full = new URL(url)
  } catch {
    return url // What is wrong with it is said where it is read, without a password.
  }
  if (full.protocol === 'unix:') {
    full.searchParams.set('password', password)
    if (username) full.searchParams.set('username', username)
  } else {
    full.password = encodeURIComponent(password)
    if (username) full.username = encodeURIComponent(username)
  }
  return full.href
}

/** Where the server is, as it may be shown: without user and password. */
function address(manager) {
  const { memory, path, host, port, db, tls } = manager.source.settings()
  if (memory !== undefined) return `memory:${memory}`
  if (path !== undefined) return `unix://${path}${db ? `?db=${db}` : ''}`
  const name = host.includes(':') ? `[${host}]` : host
  return `${tls ? 'rediss' : 'redis'}://${name}:${port}${db ? `/${db}` : ''}`
}

module.exports = { CONNECTION_OPTIONS, address, connect }
