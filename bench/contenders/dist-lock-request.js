'use strict'

const distLock = require('../../index.js')
const { version } = require('../../package.json')

let locks

/** This package by the Web Locks API: a callback that is called while the lock is held. */
module.exports = {
  name: `dist-lock ${version}, request`,
  open(url) {
    locks = distLock(url)
  },
  acquireAndRelease: (resource) => locks.request(resource, () => {}),
  close() {},
}
