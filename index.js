'use strict'

const { LockError, LockLostError } = require('./lib/errors.js')
const { Manager } = require('./lib/manager.js')
const { withDefaults } = require('./lib/options.js')
const { toSource } = require('./lib/source.js')

/**
 * Makes a manager of locks; `index.d.ts` is its manual. Works with and without `new`.
 */
module.exports = function distLock(source, options) {
  return new Manager(toSource(source), withDefaults(options)).locks
}

module.exports.LockError = LockError
module.exports.LockLostError = LockLostError
