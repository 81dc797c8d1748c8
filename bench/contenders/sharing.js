'use strict'

const distLock = require('../../index.js')
const { version } = require('../../package.json')

/**
 * This package, for locks that several hold at once.
 *
 * @param {string} how   what the tables call it
 * @param {{ mode?: 'shared', permits?: number }} options   of `acquire`
 * @returns {import('./index.js').Contender}
 */
function sharing(how, options) {
  let locks
  return {
    name: `dist-lock ${version}, ${how}`,
    open(url) {
      locks = distLock(url)
    },
    acquire: (resource) => locks.acquire(resource, options),
    release: (lock) => lock.release(),
    close() {},
  }
}

module.exports = { sharing }
