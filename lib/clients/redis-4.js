'use strict'

const { channel } = require('node:diagnostics_channel')
const { rememberCalls } = require('./calls.js')

/** `redis` and `@redis/client` 4 to 6, connected to one server. */
module.exports = {
  name: 'redis 4 to 6',

  is: (client) =>
    typeof client === 'object' &&
    client !== null &&
    'isOpen' in client &&
    'options' in client &&
    typeof client.select === 'function' &&
    typeof client.sendCommand === 'function',

  refuse: ({ options }) => refuseSocket(options?.socket),

  remember: watch,

  read(client, memory) {
    const { options } = client
    const socket = options?.socket
    const auth = memory?.auth
    return {
      path: socket?.path,
      host: socket?.host,
      port: socket?.port,
      family: socket?.family,
      db: memory?.db ?? options?.database,
      username: auth ? auth.username : options?.username,
      password: auth ? auth.password : options?.password,
      credentials: auth ? undefined : provider(options),
      tls: socket?.tls ? socket : undefined,
    }
  },

  // Only 6 has one; 4 and 5 ignore an option of that name.
  prefix: (client) => client._keyPrefix ?? '',

  // Not connected yet is open: its settings are all that is needed.
  closed(client, memory) {
    if (client.isOpen) memory.opened = true
    return memory.opened && !client.isOpen
  },
}

/** Also for the clients of a cluster. */
Object.assign(module.exports, { provider, refuseSocket })

function refuseSocket(socket) {
  // It takes anything but `true` for a connection without TLS.
  if (socket?.tls && socket.tls !== true) {
    return '`socket.tls` must be true, with the TLS options beside it'
  }
  for (const name of ['lookup', 'localAddress', 'localPort']) {
    if (socket?.[name]) return `\`socket.${name}\` cannot be reproduced: pass a client without it`
  }
}

/** It keeps the selected database to itself, and forgets what auth() sent. */
function watch(client) {
  const memory = { opened: client.isOpen, db: selected(client), auth: undefined }

  const opened = () => {
    memory.opened = true
  }
  client.once('connect', opened)
  client.once('end', opened)

  // In legacy mode of 4 these take callbacks and the methods with promises are in `v4`.
  for (const target of client.options?.legacyMode ? [client, client.v4] : [client]) {
    for (const name of ['select', 'SELECT']) rememberCalls(target, name, memory, 'db', database)
    for (const name of ['auth', 'AUTH']) rememberCalls(target, name, memory, 'auth', credentials)
  }
  return memory
}

/**
 * The database an open client of 5.12 or later selected before we came: it tells in its trace of
 * a command, here one that is refused before it is sent. Undefined when it does not say.
 */
function selected(client) {
  if (!client.isOpen || client._self === undefined) return undefined
  let database
  const trace = channel('tracing:node-redis:command:start')
  const listen = (context) => {
    database = context.database
  }
  trace.subscribe(listen)
  try {
    client.sendCommand(['PING'], { abortSignal: AbortSignal.abort() }).catch(() => {})
  } finally {
    trace.unsubscribe(listen)
  }
  return database
}

/** Its first number: in 4 command options may come before it. */
function database(args) {
  return args.find((arg) => typeof arg === 'number' || typeof arg === 'string')
}

function credentials(args) {
  const said = args.find((arg) => arg?.password !== undefined)
  if (said) return { username: said.username, password: said.password }
  const words = args.filter((arg) => typeof arg === 'string')
  return words.length > 1
    ? { username: words[0], password: words[1] }
    : { username: undefined, password: words[0] }
}

const providers = new WeakMap()

/** What 5 and 6 ask at each connection; of a password they make one too, which is not needed here. */
function provider(options) {
  const given = options?.credentialsProvider
  if (!given || options.password) return undefined
  let ask = providers.get(given)
  if (!ask) {
    const isStream = given.type === 'streaming-credentials-provider'
    ask = async () => {
      const { username, password } = await (isStream ? latest(given) : given.credentials())
      return { username, password: password ?? '' }
    }
    providers.set(given, ask)
  }
  return ask
}

/** What a stream has at this moment: it is asked again at the next connection. */
async function latest(stream) {
  const [credentials, subscription] = await stream.subscribe({ onNext() {}, onError() {} })
  subscription.dispose()
  return credentials
}
