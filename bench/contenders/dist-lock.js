'use strict'

const distLock = require('../../index.js')
const { version } = require('../../package.json')

let locks

/** This package, as a new program uses it: a URL and promises. */
module.exports = {
  name: `dist-lock ${version}`,
  open(url) {
    locks = distLock(url)
  },
  acquire: (resource) => locks.acquire(resource),
  release: (lock) => lock.release(),
  async guard(resource, ttl) {
    const lock = await locks.acquire(resource, { ttl, autoExtend: true })
    return {
      isHeld: () => lock.state === 'held',
      remaining: () => lock.remaining,
      release: () => lock.release(),
    }
  },
  // Its connection closes by itself.
  close() {},
}
