'use strict'

const { startCluster } = require('../support/cluster.js')
const { startProxy } = require('../support/proxy.js')
const { startRedis } = require('../support/redis.js')
const { startSentinels, until } = require('../support/sentinels.js')

/** What a server that is killed has said is still there when it is started again. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']

/**
 * Ways to run Redis, by name. Each starts its servers, with a proxy in front of each.
 *
 * @typedef {object} Topology
 * @property {any} source   what the processes make their manager from: JSON
 * @property {object} [options]   of the manager
 * @property {{ server: any, proxy: any }[]} nodes   where locks are
 * @property {string[]} names   of locks
 * @property {() => Promise<void>} [failover]   makes another server the primary, as an administrator does
 * @property {() => Promise<any>} [primary]   the node whose death makes another one the primary
 * @property {() => Promise<void>} [whole]   resolves once all servers are as they should be
 * @property {boolean} isAsynchronous   whether a failover may lose a lock
 *
 * @type {Record<string, (t: { after(fn: () => unknown): void }) => Promise<Topology>>}
 */
const topologies = {
  async standalone(t) {
    const [node] = await withProxies(t, [await startRedis(t, { args: DURABLE })])
    return { source: node.proxy.url, nodes: [node], names: NAMES, isAsynchronous: false }
  },

  async quorum(t) {
    const servers = await Promise.all([1, 2, 3].map(() => startRedis(t, { args: DURABLE })))
    const nodes = await withProxies(t, servers)
    const source = nodes.map(({ proxy }) => proxy.url)
    return { source, nodes, names: NAMES, isAsynchronous: false }
  },

  sentinel: (t) => sentinels(t, {}),
  'sentinel, minReplicas': (t) => sentinels(t, REPLICATED),
  cluster: (t) => cluster(t, {}),
  'cluster, minReplicas': (t) => cluster(t, REPLICATED),
}

const NAMES = ['a', 'b', 'c']
const REPLICATED = { minReplicas: 1, replicaTimeout: 500 }

async function sentinels(t, options) {
  const started = await startSentinels(t, { server: { args: DURABLE } })
  const nodes = await withProxies(t, started.servers)
  const source = { sentinels: started.addresses, name: started.name, natMap: natMap(nodes) }
  return {
    source,
    options,
    nodes,
    names: NAMES,
    isAsynchronous: options !== REPLICATED,
    failover: () => started.failover(),
    primary: async () => nodeOf(nodes, await started.primary()),
    whole: () => until(async () => (await Promise.all(nodes.map(isLinked))).every(Boolean)),
  }
}

async function cluster(t, options) {
  const started = await startCluster(t, { replicas: 1, nodeTimeout: 1000, args: DURABLE })
  const nodes = await withProxies(t, started.nodes)
  const names = await started.namesOn(started.primaries)
  const source = {
    cluster: started.primaries.map(({ host, port }) => ({ host, port })),
    natMap: natMap(nodes),
  }
  const primaries = async () => {
    const roles = await Promise.all(nodes.map(roleOf))
    return nodes.filter((_, number) => roles[number] === 'master')
  }
  let turn = 0
  return {
    source,
    options,
    nodes,
    names,
    isAsynchronous: options !== REPLICATED,
    async failover() {
      const roles = await Promise.all(nodes.map(roleOf))
      const replicas = nodes.filter((_, number) => roles[number] === 'slave')
      if (replicas.length === 0) return
      const { server } = replicas[turn++ % replicas.length]
      await server.command('CLUSTER', 'FAILOVER').catch(() => {})
    },
    async primary() {
      const all = await primaries()
      return all[turn++ % all.length]
    },
    async whole() {
      await until(async () => (await primaries()).length === 3)
      await until(async () => (await Promise.all(nodes.map(isLinked))).every(Boolean))
      await started.settled('cluster_state:ok')
    },
  }
}

async function withProxies(t, servers) {
  return Promise.all(
    servers.map(async (server) => ({ server, proxy: await startProxy(t, server) })),
  )
}

function natMap(nodes) {
  const to = ({ proxy }) => ({ host: proxy.host, port: proxy.port })
  return Object.fromEntries(nodes.map((node) => [`127.0.0.1:${node.server.port}`, to(node)]))
}

function nodeOf(nodes, server) {
  return nodes.find((node) => node.server === server)
}

async function roleOf({ server }) {
  const [role] = await server.command('ROLE').catch(() => [])
  return role
}

/** Whether it has a replica, or is one that hears its primary. */
async function isLinked({ server }) {
  const info = await server.command('INFO', 'replication').catch(() => '')
  return /role:master[^]*connected_slaves:[1-9]/.test(info) || /master_link_status:up/.test(info)
}

module.exports = { topologies }
