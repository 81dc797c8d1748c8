'use strict'

const url = require('./url.js')
const { provider, refuseSocket } = require('./redis-4.js')

/**
 * The cluster client of `redis` and `@redis/client` 4 to 6. Its `useReplicas` does not matter: locks
 * are asked of primaries only.
 */
module.exports = {
  name: 'cluster of redis 4 to 6',

  is: (client) =>
    typeof client === 'object' && client !== null && 'masters' in client && 'slots' in client,

  refuse({ _options: options }) {
    if (!options) {
      return 'a cluster client of redis 4 keeps its settings to itself: pass { cluster: [{ host, port }], username, password, tls }'
    }
    const sockets = [options.defaults, ...(options.rootNodes ?? [])].map((node) => node?.socket)
    return sockets.map(refuseSocket).find(Boolean)
  },

  remember: (client) => ({ opened: client.isOpen }),

  read({ _options: options }) {
    const { defaults } = options
    return {
      cluster: nodesOf(options.rootNodes),
      natMap: options.nodeAddressMap,
      family: defaults?.socket?.family,
      username: defaults?.username,
      password: defaults?.password,
      credentials: provider(defaults),
      tls: defaults?.socket?.tls ? defaults.socket : undefined,
    }
  },

  // Only 6 has one.
  prefix: (client) => client._keyPrefix ?? '',

  // Not connected yet is open: its settings are all that is needed.
  closed(client, memory) {
    if (client.isOpen) memory.opened = true
    return memory.opened && !client.isOpen
  },
}

const known = new WeakMap()

/** The same list as long as the client has the same. */
function nodesOf(rootNodes) {
  let nodes = known.get(rootNodes)
  if (!nodes) known.set(rootNodes, (nodes = rootNodes.map(nodeOf)))
  return nodes
}

function nodeOf({ url: text, socket, username, password }) {
  const { host, port, family } = socket ?? {}
  const options = { host, port, family, username, password, tls: socket?.tls ? socket : undefined }
  for (const name in options) if (options[name] === undefined) delete options[name]
  return text === undefined ? options : { ...url.read(text), ...options }
}
