'use strict'

const Redis = require('ioredis')
const Redlock = require('redlock-4')
const { version } = require('redlock-4/package.json')
const { TTL } = require('./bare-scripts.js')
const { RETRIES } = require('./redlocks.js')

let client
let redlock

/** What npm calls its latest version, and what most of its users have. It has no renewal. */
module.exports = {
  name: `redlock ${version}`,
  open(url) {
    client = new Redis(url)
    redlock = new Redlock([client], { ...RETRIES, retryCount: -1 })
  },
  acquire: (resource) => redlock.lock(resource, Number(TTL)),
  release: (lock) => lock.unlock(),
  close: () => client.quit(),
}
