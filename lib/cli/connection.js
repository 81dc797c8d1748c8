'use strict'

const { read: readUrl } = require('../clients/url.js')
const { Manager } = require('../manager.js')
const { withDefaults } = require('../options.js')
const { toSource } = require('../source.js')
const { duration } = require('./duration.js')
const { UsageError } = require('./errors.js')

/** The options of every command that asks Redis. */
const CONNECTION_OPTIONS = {
  url: { type: 'string', multiple: true },
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
  const connectTimeout = duration('connect-timeout', values['connect-timeout'] ?? '10s', {
    least: 1,
  })
  const keyPrefix = values.prefix ?? environment.DIST_LOCK_PREFIX ?? 'lock:'
  try {
    const [first, ...others] = urlsOf(values).map((url) => inputOf(url, environment))
    const source = toSource(others.length === 0 ? first : [first, ...others])
    return new Manager(source, withDefaults({ keyPrefix, connectTimeout, ...options }))
  } catch (error) {
    throw new UsageError(error.message.replace('Expected the URL `source`', 'Expected --url'))
  }
}

/** One, or those of independent servers of which a majority holds a lock. */
function urlsOf({ url }) {
  const { DIST_LOCK_URL, REDIS_URL } = process.env
  return url ?? (DIST_LOCK_URL || REDIS_URL || DEFAULT_URL).trim().split(/\s+/)
}

/** A password on the command line is seen by all users of a machine, so it may come separately. */
function inputOf(url, { DIST_LOCK_USERNAME: username, DIST_LOCK_PASSWORD: password }) {
  if (!password) return url
  const { memory, ...settings } = readUrl(url)
  if (memory !== undefined) return url
  if (username) settings.username = username
  return { ...settings, password }
}

/** Where the server is, as it may be shown: without user and password. */
function address(settings) {
  const { memory, members, sentinels, cluster, path, host, port, db, tls } = settings
  if (members !== undefined) return members.map(address).join(' ')
  if (memory !== undefined) return `memory:${memory}`
  if (path !== undefined) return `unix://${path}${db ? `?db=${db}` : ''}`
  const scheme = tls ? 'rediss' : 'redis'
  const database = db ? `/${db}` : ''
  const all = (settings) => settings.addresses.map(hostPort).join(',')
  if (cluster) return `${scheme}+cluster://${all(cluster)}`
  if (sentinels) return `${scheme}+sentinel://${all(sentinels)}${database}?name=${sentinels.name}`
  return `${scheme}://${hostPort({ host, port })}${database}`
}

function hostPort({ host, port }) {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

module.exports = { CONNECTION_OPTIONS, address, connect, urlsOf }
