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
  // Its connection closes by itself.
  close() {},
}
