'use strict'

const { once } = require('node:events')

/**
 * The clients that people have, each behind the same few words, so that a test is one loop.
 *
 *     for (const kind of clientKinds) {
 *       test(`${kind.name}: …`, async (t) => {
 *         const client = kind.open(t, { port: redis.port, db: 3 })
 *         await kind.ready(client)
 *
 * @typedef {object} ClientKind
 * @property {string} name the npm alias it is required by
 * @property {(what: string) => boolean} has whether this version has an option: 'family',
 *   'db', 'username',
 *   'username in URL', 'tls', 'prefix', 'url', 'lazy' (does not connect by itself), 'keeps
 *   select' and 'keeps auth' (can be asked for it later), 'believes a failed select'
 * @property {(t, settings: Settings) => any} open a client that is closed when the test ends
 * @property {(client) => Promise<void>} ready connects it if it does not by itself
 * @property {(client, db: number) => Promise<void>} select
 * @property {(client, password: string, username?: string) => Promise<void>} auth
 * @property {(client, ...args: string[]) => Promise<any>} command
 * @property {Record<string, (client) => any>} closers the ways to close it for good
 *
 * @typedef {{ host?: string, port?: number, family?: number, path?: string, url?: string, db?: number,
 *   username?: string, password?: string, prefix?: string, tls?: object | true }} Settings
 */

/** Calls a method with a callback. */
function call(client, method, ...args) {
  return new Promise((resolve, reject) => {
    client[method](...args, (error, reply) => (error ? reject(error) : resolve(reply)))
  })
}

function whenReady(client) {
  return client.ready || client.status === 'ready' ? undefined : once(client, 'ready')
}

const nodeRedis = {
  ready: (client) => whenReady(client),
  select: (client, db) => call(client, 'select', db),
  auth: (client, password, username) =>
    username ? call(client, 'auth', password, username) : call(client, 'auth', password),
  command: (client, name, ...args) => call(client, 'send_command', name, args),
  closers: { quit: (client) => client.quit(), end },
  close: end,
}

/** Before 0.12 it takes every listener off its stream, and an error after that ends the process. */
function end(client) {
  client.end(true)
  client.stream.on('error', () => {})
}

/** 0.8 to 1.0: the address, then the options. */
const oldNodeRedis = {
  ...nodeRedis,
  create: ({ createClient }, { host = '127.0.0.1', port, path, url, family, password }) => {
    const options = { auth_pass: password, ...(family === 6 && { family: 'IPv6' }) }
    if (url) return createClient(url, options)
    return path ? createClient(path, options) : createClient(port, host, options)
  },
}

const newNodeRedis = {
  ...nodeRedis,
  create: ({ createClient }, { url, username, family, ...settings }) => {
    const options = { ...settings, ...(family === 6 && { family: 'IPv6' }), user: username }
    for (const name in options) if (options[name] === undefined) delete options[name]
    return url ? createClient(url, options) : createClient(options)
  },
}

const promiseRedis = {
  create: ({ createClient }, { url, host, port, family, path, tls, db, prefix, ...settings }) => {
    const socket = { host, port, family, path, ...(tls && { ...tls, tls: true }) }
    for (const name in socket) if (socket[name] === undefined) delete socket[name]
    return createClient({ ...settings, url, database: db, keyPrefix: prefix, socket })
  },
  ready: async (client) => {
    await client.connect()
  },
  select: async (client, db) => {
    await client.select(db)
  },
  auth: async (client, password, username) => {
    await client.auth({ username, password })
  },
  command: (client, ...args) => client.sendCommand(args),
  close: (client) => client.isOpen && client.disconnect().catch(() => {}),
}

const redis4 = {
  ...promiseRedis,
  closers: { quit: (client) => client.quit(), disconnect: (client) => client.disconnect() },
}

const redis5 = {
  ...promiseRedis,
  closers: {
    close: (client) => client.close(),
    destroy: (client) => client.destroy(),
    quit: (client) => client.quit(),
    disconnect: (client) => client.disconnect(),
  },
  close: (client) => client.isOpen && client.destroy(),
}

const ioredis = {
  create: (module, { url, prefix, ...settings }) => {
    const Redis = module.default ?? module
    const options = { ...settings, keyPrefix: prefix }
    for (const name in options) if (options[name] === undefined) delete options[name]
    return url ? new Redis(url, options) : new Redis(options)
  },
  ready: (client) => whenReady(client),
  select: async (client, db) => {
    await client.select(db)
  },
  auth: async (client, password, username) => {
    await (username ? client.auth(username, password) : client.auth(password))
  },
  command: (client, ...args) => client.call(...args),
  closers: {
    quit: (client) => client.quit(),
    disconnect: (client) => client.disconnect(),
    end: (client) => client.end(),
  },
  close: (client) => client.disconnect(),
}

const ALL = ['family', 'keeps select', 'db', 'url', 'tls', 'prefix']
const BELIEVES = 'believes a failed select'
const USERS = ['username', 'username in URL']

const clientKinds = [
  kind('redis-0.8', oldNodeRedis, ['keeps select', 'keeps auth']),
  kind('redis-0.10', oldNodeRedis, ['keeps select', 'keeps auth']),
  kind('redis-0.12', oldNodeRedis, ['family', 'keeps select', 'keeps auth']),
  kind('redis-1.0', oldNodeRedis, ['family', 'keeps select', 'keeps auth', 'url']),
  kind('redis-2.8', newNodeRedis, ['keeps auth', ...ALL]),
  kind('redis-3.1', newNodeRedis, ['keeps auth', ...ALL, ...USERS]),
  kind('ioredis-3', ioredis, [...ALL, BELIEVES]),
  kind('ioredis-4', ioredis, [BELIEVES, ...ALL, 'username']),
  kind('ioredis-5', ioredis, [BELIEVES, ...ALL, ...USERS]),
  kind('ioredis-6', ioredis, [BELIEVES, ...ALL, ...USERS], 20),
  kind('iovalkey-0.4', ioredis, [BELIEVES, ...ALL, ...USERS]),
  kind('redis-4', redis4, ['lazy', 'family', 'db', 'url', 'tls', ...USERS]),
  kind('redis-client-4', redis4, ['lazy', 'family', 'db', 'url', 'tls', ...USERS]),
  kind('redis-5', redis5, ['lazy', 'family', 'db', 'url', 'tls', 'keeps select', ...USERS]),
  kind('redis-client-5', redis5, ['lazy', 'family', 'db', 'url', 'tls', 'keeps select', ...USERS]),
  kind('redis-6', redis5, ['lazy', ...ALL, ...USERS], 20),
  kind('redis-client-6', redis5, ['lazy', ...ALL, ...USERS], 20),
].filter(({ node }) => node <= Number(process.versions.node.split('.')[0]))

/** `node`: the oldest Node it says it runs on. */
function kind(name, { create, close, ...words }, features, node = 18) {
  return {
    ...words,
    name,
    node,
    has: (what) => features.includes(what),
    open(t, settings) {
      const client = create(require(name), settings)
      t.after(() => close(client))
      return client
    },
  }
}

module.exports = { clientKinds }
