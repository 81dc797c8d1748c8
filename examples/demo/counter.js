'use strict'

const { promisify } = require('node:util')
const { createClient } = require('./client.js')

/**
 * The counter everybody increments. All it can do is read and write.
 *
 * @param {import('./store.js').Where} where
 */
function openCounter({ url, prefix, memory }) {
  return memory ? inMemory(new Int32Array(memory)) : inRedis(createClient(url), `${prefix}counter`)
}

function inRedis(client, key) {
  const get = promisify(client.get).bind(client)
  const set = promisify(client.set).bind(client)
  return {
    read: async () => Number(await get(key)),
    write: (value) => set(key, value),
    close: () => promisify(client.quit).call(client),
  }
}

/** Memory that threads share. */
function inMemory(cells) {
  return {
    read: async () => Atomics.load(cells, 0),
    write: async (value) => Atomics.store(cells, 0, value),
    close: async () => {},
  }
}

module.exports = { openCounter }
