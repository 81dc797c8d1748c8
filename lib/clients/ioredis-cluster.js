'use strict'

const { Pending } = require('./pending.js')

/**
 * The Cluster client of ioredis 3 to 6 and iovalkey. Its `scaleReads` does not matter: locks are
 * asked of primaries only.
 */
module.exports = {
  name: 'Cluster of ioredis',

  is: (client) =>
    typeof client === 'object' &&
    client !== null &&
    'startupNodes' in client &&
    typeof client.options === 'object',

  refuse({ options }) {
    if (options.useSRVRecords) {
      return '`useSRVRecords` cannot be reproduced: pass { cluster: [{ host, port }] }'
    }
  },

  remember: () => ({ quits: new Pending(({ command }) => command.name === 'quit') }),

  // Its `dnsLookup` is not asked: names are resolved when connecting.
  read({ startupNodes, options }) {
    const { family, username, password, tls } = options.redisOptions ?? {}
    return {
      cluster: startupNodes,
      natMap: options.natMap,
      family,
      username: username ?? undefined,
      password: password ?? undefined,
      tls: tls || undefined,
    }
  },

  prefix: ({ options }) => options.keyPrefix || options.redisOptions?.keyPrefix || '',

  closed: (client, memory) =>
    client.status === 'end' ||
    // Set by quit() and disconnect() at once, before anything happened.
    client.manuallyClosing === true ||
    memory.quits.in(client.offlineQueue) !== undefined,
}
