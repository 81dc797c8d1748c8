'use strict'

const { rememberCalls } = require('./calls.js')
const { Pending } = require('./pending.js')

/** ioredis 3 to 6 and iovalkey, connected to one server, or to the primary that sentinels name. */
module.exports = {
  name: 'ioredis',

  is: (client) =>
    typeof client === 'object' &&
    client !== null &&
    'connector' in client &&
    'commandQueue' in client &&
    'offlineQueue' in client &&
    typeof client.options === 'object',

  refuse({ options }) {
    if (options.sentinels) return refuseSentinels(options)
    if (options.Connector) {
      return 'got a client with its own `Connector`, which cannot be reproduced: pass a URL or settings'
    }
  },

  remember: watch,

  read(client, memory) {
    const { options } = client
    const auth = memory?.auth
    return {
      ...(options.sentinels ? sentinels(options) : server(options)),
      db: selected(client),
      username: auth ? auth.username : (options.username ?? undefined),
      password: auth ? auth.password : (options.password ?? undefined),
    }
  },

  prefix: (client) => client.options.keyPrefix || '',

  closed: (client, memory) =>
    client.status === 'end' ||
    // Set by quit() and disconnect() at once, before anything happened.
    client.manuallyClosing === true ||
    memory.quits.in(client.offlineQueue) !== undefined,
}

function server({ tls, path, host, port, family }) {
  return {
    // ioredis, too, lets the address in `tls` win.
    path: tls?.path ?? path ?? undefined,
    host: tls?.host ?? host ?? undefined,
    port: tls?.port ?? port ?? undefined,
    family: tls?.family ?? family ?? undefined,
    tls: tls || undefined,
  }
}

function sentinels(options) {
  return {
    sentinels: options.sentinels,
    name: options.name,
    family: options.family ?? undefined,
    sentinelUsername: options.sentinelUsername ?? undefined,
    sentinelPassword: options.sentinelPassword ?? undefined,
    sentinelTLS: options.sentinelTLS || undefined,
    natMap: options.natMap ?? undefined,
    // It is ignored without this, and in ioredis 3 always.
    tls: (options.enableTLSForSentinelMode && options.tls) || undefined,
  }
}

function refuseSentinels({ role, natMap }) {
  if (role === 'slave') {
    return "got a client with `role: 'slave'`: locks are held on the primary, pass one without it"
  }
  if (typeof natMap === 'function') {
    return 'a `natMap` that is a function cannot be read: pass an object of addresses'
  }
}

/** The database of the last select(), sent or not; while it reconnects, of the one before. */
function selected(client) {
  const condition = client.prevCondition ?? client.condition
  return condition ? condition.select : client.options.db
}

/** ioredis sends auth() and forgets it, so what the program says is remembered here. */
function watch(client) {
  const memory = { auth: undefined, quits: new Pending(isCommand('quit')) }

  const auths = new Pending(isCommand('auth'))
  const waiting = auths.in(client.offlineQueue) ?? auths.in(client.commandQueue)
  if (waiting) memory.auth = credentials(client, waiting.command.args)

  rememberCalls(client, 'auth', memory, 'auth', (args) => credentials(client, args))
  return memory
}

function credentials(client, args) {
  // On connecting it authenticates by this very method: then its options are right.
  if (args[0] === client.condition?.auth) return undefined
  const words = args
    .flat()
    .filter((word) => typeof word !== 'function')
    .map(String)
  if (words.length > 1) return { username: words[0], password: words[1] }
  return { username: undefined, password: words[0] }
}

function isCommand(name) {
  return (item) => item.command.name === name
}
