'use strict'

const { LockError } = require('../errors.js')
const exitCodes = require('./exit-codes.js')

/** A command line that is wrong. */
class UsageError extends Error {}

/** What went wrong as people read it, and what the program ends with. */
function explain(error) {
  if (error instanceof UsageError) return { code: exitCodes.USAGE, text: error.message }
  if (error instanceof LockError) return { code: exitCodes.REDIS, text: error.message }
  return { code: exitCodes.BUG, text: error?.stack ?? String(error) }
}

module.exports = { UsageError, explain }
