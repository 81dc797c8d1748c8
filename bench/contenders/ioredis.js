'use strict'

const Redis = require('ioredis')
const { version } = require('ioredis/package.json')
const { ACQUIRE, RELEASE, TTL, newId } = require('./bare-scripts.js')

let client
let acquireSha
let releaseSha

/**
 * No library, only its client: a floor under everything that goes through ioredis. Without its
 * automatic pipelining, here as in the libraries: that is no faster with a thousand in flight, and
 * takes half as long again with one.
 */
module.exports = {
  name: `no library, ioredis ${version}`,
  async open(url) {
    client = new Redis(url)
    acquireSha = await client.script('LOAD', ACQUIRE)
    releaseSha = await client.script('LOAD', RELEASE)
  },
  async acquire(resource) {
    const lock = { key: `lock:${resource}`, id: newId() }
    const taken = await client.evalsha(acquireSha, 1, lock.key, lock.id, '', TTL)
    return taken === 1 && lock
  },
  release: ({ key, id }) => client.evalsha(releaseSha, 1, key, id),
  close: () => client.quit(),
}
