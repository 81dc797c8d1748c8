'use strict'

const { createClient } = require('redis')
const { version } = require('redis/package.json')
const { ACQUIRE, RELEASE, TTL, newId } = require('./bare-scripts.js')

let client
let acquireSha
let releaseSha

/** No library, only its client: a floor under everything that goes through node-redis. */
module.exports = {
  name: `no library, redis ${version}`,
  async open(url) {
    client = await createClient({ url }).connect()
    acquireSha = await client.scriptLoad(ACQUIRE)
    releaseSha = await client.scriptLoad(RELEASE)
  },
  async acquire(resource) {
    const lock = { key: `lock:${resource}`, id: newId() }
    const request = { keys: [lock.key], arguments: [lock.id, '', TTL] }
    return (await client.evalSha(acquireSha, request)) === 1 && lock
  },
  release: ({ key, id }) => client.evalSha(releaseSha, { keys: [key], arguments: [id] }),
  close: () => client.close(),
}
