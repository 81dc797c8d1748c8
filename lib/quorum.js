'use strict'

const { Guarded } = require('./guarded.js')

/** One source per list of clients, by the first: 10,000 managers on the same clients watch them once. */
const quorums = new WeakMap()

/**
 * The source that is made of several, each an independent server: a lock is held by whoever has it on
 * a majority of them.
 *
 * Throws a `TypeError` when two are the same server.
 *
 * @param {import('./source.js').Source[]} members
 */
function quorumOf(members) {
  const ofFirst = quorums.get(members[0]) ?? []
  const known = ofFirst.find((quorum) => quorum.isOf(members))
  if (known) return known

  const quorum = new QuorumSource(members)
  quorums.set(members[0], [...ofFirst, quorum])
  return quorum
}

class QuorumSource {
  #members
  #read = []
  #settings

  constructor(members) {
    this.#members = members
    this.settings()
    this.prefix()
  }

  isOf(members) {
    return isSame(members, this.#members)
  }

  /**
   * The settings of all members as they are now: the same object as long as none changes.
   *
   * @returns {import('./settings.js').ConnectionSettings}
   */
  settings() {
    const read = this.#members.map((member) => member.settings())
    if (!isSame(read, this.#read)) {
      mustBeIndependent(read)
      this.#settings = new Guarded({ members: read })
      this.#read = read
    }
    return this.#settings
  }

  /** The key prefix that the members share. */
  prefix() {
    const [first, ...others] = this.#members.map((member) => member.prefix())
    const other = others.find((prefix) => prefix !== first)
    if (other === undefined) return first
    throw new TypeError(
      'Expected the servers in `source` to have the same key prefix, since a lock has one key; ' +
        `got ${JSON.stringify(first)} and ${JSON.stringify(other)}`,
    )
  }

  get canClose() {
    return this.#members.some((member) => member.canClose)
  }

  /** Whether the program closed so many of its clients that the others are no majority. */
  closed() {
    const open = this.#members.filter((member) => !member.closed())
    return open.length <= this.#members.length / 2
  }

  onEnd(listener) {
    for (const member of this.#members) member.onEnd(listener)
  }
}

function mustBeIndependent(settings) {
  const seen = new Set()
  for (const one of settings) {
    const address = addressOf(one)
    if (seen.has(address)) {
      throw new TypeError(
        'Expected the servers in `source` to be independent of each other, which a server is not of itself; ' +
          `got ${address} twice`,
      )
    }
    seen.add(address)
  }
}

function addressOf({ memory, path, sentinels, cluster, host, port }) {
  const all = ({ addresses }) => addresses.map((one) => `${one.host}:${one.port}`).join(', ')
  if (memory !== undefined) return `memory:${memory}`
  if (sentinels !== undefined) return `${sentinels.name} of ${all(sentinels)}`
  if (cluster !== undefined) return `the Cluster of ${all(cluster)}`
  return path ?? `${host}:${port}`
}

function isSame(some, others) {
  return some.length === others.length && some.every((one, number) => one === others[number])
}

module.exports = { quorumOf }
