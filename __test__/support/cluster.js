'use strict'

const distLock = require('../..')
const { startRedis } = require('./redis.js')
const { eventually } = require('./outcome.js')

const SLOTS = 16384

/**
 * Starts a private Redis Cluster and stops it when the test ends.
 *
 * @param {{ after(fn: () => unknown): void }} [t] whose end ends the servers
 * @param {object} [options] those of `startRedis`, for each node, and
 * @param {number} [options.replicas] how many each primary has
 * @param {number} [options.nodeTimeout] how long a node may be silent before it counts as failed, in ms
 * @param {number} [options.spare] how many nodes have one slot only: the last ones
 * @returns {Promise<Cluster>}
 */
async function startCluster(t, options = {}) {
  const { replicas = 0, spare = 0, nodeTimeout = 15000, args = [], ...others } = options
  const all = { ...others, cluster: true, args: ['--cluster-node-timeout', nodeTimeout, ...args] }
  const start = (count) => Promise.all(Array.from({ length: count }, () => startRedis(t, all)))
  const [primaries, standby, spares] = await Promise.all([
    start(3),
    start(3 * replicas),
    start(spare),
  ])
  const cluster = new Cluster(primaries, standby, spares)
  await cluster.join()
  return cluster
}

class Cluster {
  /** @type {import('./redis.js').RedisServer[]} those that had the slots in the beginning */
  primaries
  standby
  spares

  constructor(primaries, standby, spares) {
    Object.assign(this, { primaries, standby, spares })
  }

  get nodes() {
    return [...this.primaries, ...this.standby, ...this.spares]
  }

  /** What managers are made from. */
  get source() {
    return { cluster: this.primaries.map(({ host, port }) => ({ host, port })) }
  }

  /** Two managers with connections of their own, as in two processes. */
  twoManagers(options) {
    return [
      distLock(this.source, options),
      distLock(this.source, { connectTimeout: 9999, ...options }),
    ]
  }

  async join() {
    const { nodes, primaries, standby, spares } = this
    await Promise.all(
      primaries.map((node, number) => {
        const all = SLOTS - spares.length
        const [first, end] = [number, number + 1].map((part) => Math.floor((part * all) / 3))
        const slots = Array.from({ length: end - first }, (_, slot) => first + slot)
        return Promise.all([
          node.command('CLUSTER', 'ADDSLOTS', ...slots),
          node.command('CLUSTER', 'SET-CONFIG-EPOCH', number + 1),
        ])
      }),
    )
    // A node without any may become a replica of who took its last.
    for (const [number, node] of spares.entries()) {
      await node.command('CLUSTER', 'ADDSLOTS', SLOTS - 1 - number)
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', 4 + number)
    }
    for (const node of nodes) {
      for (const { host, port, busPort } of nodes) {
        await node.command('CLUSTER', 'MEET', host, port, busPort)
      }
    }
    await this.settled('cluster_known_nodes:' + nodes.length)
    for (const [number, node] of standby.entries()) {
      const primary = primaries[number % primaries.length]
      await node.command('CLUSTER', 'REPLICATE', await primary.command('CLUSTER', 'MYID'))
    }
    await this.settled('cluster_state:ok')
    const isReplica = async (node) => /master_link_status:up/.test(await node.command('INFO'))
    await eventually(
      async () => (await Promise.all(standby.map(isReplica))).every(Boolean),
      'replicas',
    )
  }

  /** Waits until all nodes say this of the Cluster. */
  async settled(words, nodes = this.nodes) {
    const says = async (node) => (await node.command('CLUSTER', 'INFO')).includes(words)
    await eventually(async () => (await Promise.all(nodes.map(says))).every(Boolean), words)
  }

  /** The slot of a key, as a server computes it. */
  slotOf(key) {
    return this.primaries[0].command('CLUSTER', 'KEYSLOT', key)
  }

  /** The nodes that have slots now. */
  async owners() {
    const roles = this.nodes.map(async (node) => {
      const [role] = await node.command('ROLE').catch(() => [])
      return role === 'master' ? [node] : []
    })
    return (await Promise.all(roles)).flat()
  }

  /** The node that has a key, as it says itself; after a change they may disagree for a moment. */
  async ownerOf(key, nodes = this.nodes) {
    let owner
    const isFound = async () => {
      for (const node of nodes) {
        const answer = await node.command('EXISTS', key).catch(() => undefined)
        if (answer !== undefined) owner = node
      }
      return owner !== undefined
    }
    await eventually(isFound, `a node that has ${key}`)
    return owner
  }

  /** Begins to move the slot of a key to another node; nothing of it is there yet. */
  async beginMove(key, to) {
    const [slot, from] = await Promise.all([this.slotOf(key), this.ownerOf(key)])
    const [fromId, toId] = await Promise.all(
      [from, to].map((node) => node.command('CLUSTER', 'MYID')),
    )
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    return {
      slot,
      /** Moves some keys of it, or all. */
      moveKeys: async (keys) => {
        keys ??= await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 1000)
        if (keys.length === 0) return
        await from.command('MIGRATE', to.host, to.port, '', 0, 5000, 'KEYS', ...keys)
      },
      end: async () => {
        const primaries = [...this.primaries, ...this.spares]
        const others = primaries.filter((node) => node !== to && node !== from)
        for (const node of [to, from, ...others]) {
          await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
        }
        // Who takes over a slot before it has heard of the last epoch may not be believed.
        const epoch = async (node) =>
          /cluster_current_epoch:\d+/.exec(await node.command('CLUSTER', 'INFO'))[0]
        const epochs = async () => new Set(await Promise.all(this.nodes.map(epoch)))
        await eventually(async () => (await epochs()).size === 1, 'all agree')
      },
    }
  }

  /** Moves the slot of a key to another node, with all that is in it. */
  async move(key, to) {
    const move = await this.beginMove(key, to)
    await move.moveKeys()
    await move.end()
  }

  /** The keys on all primaries that are not side keys; each side key must expire. */
  async lockKeys(nodes = this.primaries) {
    return (await Promise.all(nodes.map((node) => node.lockKeys()))).flat().sort()
  }

  /** A name of a lock for each of some primaries: where keys that begin with `prefix` lie. */
  async namesOn(nodes, prefix = 'lock:') {
    const names = []
    for (const node of nodes) {
      for (let number = 0; ; number++) {
        const owner = await this.ownerOf(`${prefix}n${number}`)
        if (owner === node && !names.includes(`n${number}`)) {
          names.push(`n${number}`)
          break
        }
      }
    }
    return names
  }
}

module.exports = { startCluster }
