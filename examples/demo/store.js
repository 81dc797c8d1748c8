'use strict'

const { randomUUID } = require('node:crypto')
const { promisify } = require('node:util')
const { createClient } = require('./client.js')
const { openCounter } = require('./counter.js')
const { startServer } = require('./server.js')

/**
 * Where the counter and the lock are: in the Redis at REDIS_URL, in a server of our own, or else in
 * memory that threads share.
 *
 * @returns {Promise<Store>}
 *
 * @typedef {object} Store
 * @property {string} description
 * @property {Where} where
 * @property {{ name: string, guard: string }[]} members   who works here, and with which lock
 * @property {{ read(): Promise<number>, write(value: number): Promise<void> }} counter
 * @property {() => Promise<void>} close   leaves nothing behind
 *
 * @typedef {{ url: string, prefix: string, memory?: SharedArrayBuffer }} Where
 */
async function openStore() {
  const url = process.env.REDIS_URL
  if (url?.startsWith('memory:')) return memoryStore('as REDIS_URL says')
  if (url) return redisStore(url, `Redis at ${new URL(url).host || new URL(url).pathname}`)

  const server = await startServer()
  if (!server) return memoryStore('no REDIS_URL is set and there is no redis-server')
  return redisStore(server.url, `a private ${server.program} at ${server.url}`, server)
}

async function redisStore(url, place, server) {
  const prefix = `dist-lock-demo:${randomUUID().slice(0, 8)}:`
  const where = { url, prefix }
  await reach(url)
  const counter = openCounter(where)
  return {
    description: `Six processes increment one counter: GET, 2 ms of thought, SET; in ${place}.
v3-1 to v3-3 run this version of dist-lock, v2-1 to v2-3 the one before, dist-lock 2.0.1.`,
    where,
    members: [...team('v3', 3, 'version3'), ...team('v2', 3, 'version2')],
    counter,
    async close() {
      await counter.close()
      if (server) await server.stop()
      else await remove(url, `${prefix}counter`, `${prefix}lock:counter`)
    },
  }
}

async function memoryStore(why) {
  const where = { url: 'memory:demo', prefix: '', memory: new SharedArrayBuffer(4) }
  return {
    description: `Six threads increment one counter in the memory they share: read, 2 ms of thought, write.
Without Redis (${why}), so with the locks of memory: and without dist-lock 2.`,
    where,
    members: team('v3', 6, 'version3'),
    counter: openCounter(where),
    close: async () => {},
  }
}

function team(prefix, size, guard) {
  return Array.from({ length: size }, (_, index) => ({ name: `${prefix}-${index + 1}`, guard }))
}

/** Fails now if there is no server, where the clients of the demo would try for an hour. */
async function reach(url) {
  const client = createClient(url)
  try {
    await new Promise((resolve, reject) => client.once('ready', resolve).once('error', reject))
  } finally {
    client.end(true)
  }
}

async function remove(url, ...keys) {
  const client = createClient(url)
  await promisify(client.del).call(client, keys)
  await promisify(client.quit).call(client)
}

module.exports = { openStore }
