'use strict'

const net = require('node:net')
const { Pending } = require('./pending.js')

/** node_redis, which is `redis` 0.8 to 3.1: the one with callbacks. */
module.exports = {
  name: 'redis 0.8 to 3.1',

  is: (client) =>
    typeof client === 'object' &&
    client !== null &&
    typeof client.send_command === 'function' &&
    'command_queue' in client &&
    'offline_queue' in client,

  refuse(client) {
    const { path, port } = address(client)
    const isOwn = client.options.stream !== undefined || !(client.stream instanceof net.Socket)
    if (isOwn || (!path && !port)) {
      return 'got a client with a stream of its own, which cannot be reproduced: pass a URL or settings'
    }
  },

  remember: () => ({
    selects: new Pending(isCommand('select')),
    unsentSelects: new Pending(isCommand('select')),
    quits: new Pending(isCommand('quit')),
  }),

  read(client, memory) {
    const { path, host, port, family } = address(client)
    return {
      path,
      host,
      port,
      family,
      db: selected(client, memory),
      // Without a password it does not authenticate, whatever the user.
      username: client.auth_pass ? client.auth_user : undefined,
      password: client.auth_pass ?? undefined,
      tls: client.options.tls || undefined,
    }
  },

  // Up to 2.3 there was no such option.
  prefix: (client) => (client.connection_options && client.options.prefix) || '',

  // Before 2.0 a quit() that waits for the connection leaves `closing` as it is.
  closed: (client, memory) => client.closing || memory.quits.in(client.offline_queue) !== undefined,

  endsSilentlyBy: ['end'],
}

/** What it connects to, by the name each version has for it. */
function address(client) {
  return (
    client.connection_options ??
    client.connectionOption ??
    client.connection_option ??
    addressUpTo011(client)
  )
}

/** These hand the first argument of createClient() to net, where it may be a unix socket. */
function addressUpTo011({ port, host }) {
  return Number.isNaN(Number(port)) ? { path: port } : { port, host }
}

/** The database of the last select(), sent or not. */
function selected(client, memory) {
  const select =
    memory?.unsentSelects.in(client.offline_queue) ?? memory?.selects.in(client.command_queue)
  if (select) return select.args[0]
  // Before 2.5 it is kept aside while there is no connection.
  return client.selected_db ?? client.old_state?.selected_db ?? undefined
}

function isCommand(name) {
  return ({ command }) => command === name
}
