'use strict'

const Redis = require('ioredis')
const { TTL } = require('./bare-scripts.js')
const { withVersion } = require('./with-version.js')

/** As it comes, a try each 50 to 60 ms; without the end after six. It has no renewal. */
const SETTINGS = { timeout: Number(TTL), retries: Infinity, delay: 50, jitter: 1.2 }

let client
let createLock

module.exports = {
  name: withVersion('@microfleet/ioredis-lock'),
  async open(url) {
    ;({ createLock } = await import('@microfleet/ioredis-lock'))
    client = new Redis(url)
  },
  acquire: (resource) => createLock(client, SETTINGS).acquire(resource),
  release: (lock) => lock.release(),
  close: () => client.quit(),
}
