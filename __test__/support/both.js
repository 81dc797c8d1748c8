'use strict'

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { promisify } = require('node:util')
const { clientKinds } = require('./clients.js')
const { startRedis } = require('./redis.js')
const { distLocks, VERSIONS } = require('./versions.js')

/**
 * Versions 2 and 3 under the same hands: what holds for one must hold for the other.
 *
 *     const { each, same, differs } = bothVersions()
 *
 *     each('a lock is a hash', async ({ locks, redis }) => {
 *       await ask(locks.acquire, 'a')
 *       assert.equal(await redis.command('TYPE', 'lock:a'), 'hash')
 *     })
 *
 * @typedef {object} World what a case is given, new for each run, with an empty Redis
 * @property {import('node:test').TestContext} t
 * @property {'version 2' | 'version 3'} version
 * @property {import('./clients.js').ClientKind} kind
 * @property {any} redis the server, see `redis.js`
 * @property {any} client
 * @property {any} distLock
 * @property {any} locks a manager on `client` with the default options
 * @property {(settings?: object) => any} open another client
 */

const KINDS = ['redis-0.12', 'redis-3.1', 'ioredis-5']

/** ioredis waits 2 s for the server to hang up, and a test that is over does not care. */
const LIMITS = { disconnectTimeout: 20 }

/**
 * A Redis for the tests of a file, and three ways to make tests of cases that run on it:
 *
 * - `each(claim, scenario)`: it holds for both versions
 * - `same(claim, scenario)`: both versions return equal values
 * - `differs(claim, scenario)`: it holds for version 3, and did not for version 2
 *
 * With each of the clients, or those that `{ kinds }` names.
 *
 * @param {object} [options] of `startRedis`
 */
function bothVersions(options) {
  let redis
  const starting = startRedis({ after }, options)
  before(async () => (redis = await starting))

  async function world(t, version, kind, settings) {
    await redis.command('FLUSHALL')
    const open = (own) =>
      kind.open(t, { host: '127.0.0.1', port: redis.port, ...LIMITS, ...settings, ...own })
    const client = open()
    const distLock = distLocks[version]
    return { t, version, kind, redis, client, distLock, open, locks: distLock(client) }
  }

  function each(claim, scenario, { kinds = KINDS, versions = VERSIONS, settings } = {}) {
    for (const kind of named(kinds)) {
      for (const version of versions) {
        test(`${version} on ${kind.name}: ${claim}`, async (t) => {
          await scenario(await world(t, version, kind, settings))
        })
      }
    }
  }

  function same(claim, scenario, { kinds = KINDS, settings } = {}) {
    for (const kind of named(kinds)) {
      test(`both versions on ${kind.name}: ${claim}`, async (t) => {
        const results = []
        for (const version of VERSIONS) {
          const result = await scenario(await world(t, version, kind, settings))
          await quiet()
          results.push(result)
        }

        assert.deepEqual(results[1], results[0])
      })
    }
  }

  function differs(claim, scenario, options) {
    each(claim, scenario, { ...options, versions: ['version 3'] })
  }

  return { each, same, differs }
}

function named(kinds) {
  return clientKinds.filter(({ name }) => kinds.includes(name))
}

/** Calls a method that takes a callback, as a promise. */
function ask(method, ...args) {
  return promisify(method)(...args)
}

/**
 * All that can be seen of one call from outside, as plain data that compares: what it returned or
 * threw and, once there is one, every call of its callback.
 *
 *     await seen((callback) => locks.acquire('a', callback))
 *
 * @param {(callback: Function) => unknown} call
 * @param {(...args: any[]) => unknown} [body] of the callback
 */
async function seen(call, body = () => 'what the callback returned') {
  const view = { calls: [] }
  let returned = false
  await new Promise((resolve) => {
    function callback(...args) {
      view.calls.push({ args: args.map(tell), sync: !returned, this: this })
      resolve()
      return body(...args)
    }
    try {
      view.returned = tell(call(callback))
    } catch (error) {
      view.threw = tell(error)
      resolve()
    }
    returned = true
  })
  await quiet()
  return view
}

/** Long enough for a callback that comes twice to come the second time. */
async function quiet() {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
}

const ID = /^c[a-z0-9]{24}$/
const REFUSALS =
  /\b(WRONGTYPE|READONLY|OOM|NOPERM|NOAUTH|value is not an integer|invalid expire time)\b/

/** A value in words that do not change from run to run; what Redis says no with is its first word. */
function tell(value) {
  if (value instanceof Error) {
    const refusal = REFUSALS.exec(value.message)
    if (refusal) return `refused by Redis: ${refusal[1]}`
    return `${value.constructor.name}: ${value.message}`
  }
  if (typeof value?.release !== 'function') return value

  const told = Object.entries(value).map(([name, field]) => {
    if (name === 'id' && ID.test(field)) return [name, 'an id']
    // Computed in version 2, measured in version 3.
    if (name === 'acquireDelay' && field >= 0) return [name, 'a time']
    return [name, typeof field === 'function' ? 'a function' : field]
  })
  return { aLock: told }
}

module.exports = { bothVersions, ask, seen, tell, quiet, ID, KINDS }
