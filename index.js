'use strict'

const { LockError } = require('./lib/errors.js')
const { createManager } = require('./lib/manager.js')
const { withDefaults } = require('./lib/options.js')
const { toSource } = require('./lib/source.js')

/**
 * Makes a manager of locks; `index.d.ts` is its manual. Works with and without `new`.
 */
module.exports = function distLock(source, options) {
  return createManager(toSource(source), withDefaults(options))
}

module.exports.LockError = LockError
