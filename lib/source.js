'use strict'

const { quorumOf } = require('./quorum.js')
const { connectionSettings } = require('./settings.js')

/**
 * What a manager can be made from, one row per kind, tried in this order.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {(input: any) => boolean} is
 * @property {(input: any) => string | undefined} [refuse]
 *   why this one cannot be used and what to pass instead
 * @property {(client: any) => any} [remember]
 *   called once per client: watches what the client itself forgets, for `read` and `closed`
 * @property {(input: any, memory: any) => import('./settings.js').Read} read
 *   the settings as the client has them at this moment; called for every lock, so only looks
 * @property {(input: any) => string} [prefix]
 * @property {(client: any, memory: any) => boolean} [closed]  only clients have it
 * @property {string[]} [endsSilentlyBy]  methods that close the client without an 'end' event
 *
 * @type {Row[]}
 */
const ROWS = [
  require('./clients/url.js'),
  require('./clients/object.js'),
  require('./clients/ioredis-cluster.js'),
  require('./clients/redis-cluster.js'),
  ...require('./clients/unsupported.js'),
  require('./clients/ioredis.js'),
  require('./clients/redis-4.js'),
  require('./clients/redis-3.js'),
]

/** One Source per client: 10,000 managers on one client watch it once. */
const sources = new WeakMap()

/**
 * The source that `distLock(input)` was given: a client, a URL, settings, or a list of these.
 *
 * Throws a `TypeError` for anything whose settings cannot be read or reproduced.
 *
 * @param {any} input
 * @returns {Source}
 *
 * @typedef {FixedSource | ClientSource | ReturnType<typeof quorumOf>} Source
 */
function toSource(input) {
  return Array.isArray(input) ? quorumOf(toSources(input)) : toSourceOfOne(input)
}

function toSourceOfOne(input) {
  const client = underlying(input)
  const known = isObject(client) && sources.get(client)
  if (known) return known

  const row = ROWS.find((row) => row.is(client))
  const refusal = row ? row.refuse?.(client) : `got ${describe(input)}`
  if (refusal) throw new TypeError(`${EXPECTED}; ${refusal}`)

  if (!row.closed) return new FixedSource(client, row)
  const source = new ClientSource(client, row)
  sources.set(client, source)
  return source
}

function toSources(list) {
  if (list.length === 0) throw new TypeError(`${EXPECTED}; got an empty list`)
  return list.map((input, number) => {
    try {
      return toSourceOfOne(input)
    } catch (error) {
      error.message = error.message.replace('`source`', `\`source[${number}]\``)
      throw error
    }
  })
}

/** A URL or a settings object: read once. */
class FixedSource {
  #settings
  #prefix

  constructor(input, row) {
    this.#settings = connectionSettings(row.read(input))
    this.#prefix = row.prefix?.(input) ?? ''
  }

  settings() {
    return this.#settings
  }

  prefix() {
    return this.#prefix
  }

  /** There is no client to be closed. */
  get canClose() {
    return false
  }

  closed() {
    return false
  }

  onEnd() {}
}

/** A client, whose settings are read anew whenever they are asked for. */
class ClientSource {
  #client
  #row
  #memory
  #read
  #settings

  constructor(client, row) {
    this.#client = client
    this.#row = row
    // Only when its settings proved readable: a client that is refused is left alone.
    this.settings()
    this.#memory = row.remember?.(client)
    // Version 2 listened too: a program without a listener survives ECONNREFUSED.
    client.on('error', () => {})
  }

  /**
   * The settings as they are now: the same object as long as nothing changes, so that callers
   * compare with `===`. Throws a `TypeError` when they became something that cannot be honoured.
   *
   * @returns {import('./settings.js').ConnectionSettings}
   */
  settings() {
    const read = this.#row.read(this.#client, this.#memory)
    if (this.#read === undefined || differ(read, this.#read)) {
      this.#settings = connectionSettings(read)
      this.#read = read
    }
    return this.#settings
  }

  /** The client's own key prefix, which is not part of `lock.key`; '' when it has none. */
  prefix() {
    return this.#row.prefix(this.#client)
  }

  get canClose() {
    return true
  }

  /** Whether the program closed its client for good; connecting and reconnecting are open. */
  closed() {
    return this.#row.closed(this.#client, this.#memory)
  }

  /** Calls `listener` when the client may have been closed; `closed()` then tells. */
  onEnd(listener) {
    const client = this.#client
    client.on('end', listener)
    for (const name of this.#row.endsSilentlyBy ?? []) {
      const method = client[name]
      const value = function (...args) {
        const result = method.apply(this, args)
        listener()
        return result
      }
      Object.defineProperty(client, name, { value, writable: true, configurable: true })
    }
  }
}

/** What a row may read, each compared as it is. */
const READ = [
  ...['host', 'port', 'db', 'password', 'username', 'tls', 'path', 'family', 'credentials'],
  ...['sentinels', 'name', 'sentinelUsername', 'sentinelPassword', 'sentinelTLS', 'natMap'],
  ...['cluster', 'memory'],
]

function differ(a, b) {
  return READ.some((name) => a[name] !== b[name])
}

/** node-redis 5 and 6 hand out objects that inherit from the client: `client.withTypeMapping()`. */
function underlying(input) {
  return isObject(input) && isObject(input._self) ? input._self : input
}

function isObject(value) {
  return typeof value === 'object' && value !== null
}

const EXPECTED =
  'Expected `source` to be a client of redis, @redis/client, ioredis or iovalkey, ' +
  'a URL such as redis://localhost:6379 (memory: in tests), or settings such as { host, port }'

/** What came, without its contents: they may hold a password. */
function describe(value) {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object') return `the ${typeof value} ${String(value)}`

  const names = Object.keys(value)
  if (names.length === 0) return 'an object without properties'
  const more = names.length > 5 ? ', …' : ''
  return `an object that is none of these, with the properties ${names.slice(0, 5).join(', ')}${more}`
}

module.exports = { toSource }
