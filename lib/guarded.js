'use strict'

const { inspect } = require('node:util')

const SECRETS = ['password', 'key']

/** A frozen object whose secrets stay out of console.log, error messages and JSON. */
class Guarded {
  constructor(properties) {
    Object.assign(this, properties)
    Object.freeze(this)
  }

  toJSON() {
    const open = { ...this }
    for (const name of SECRETS) if (name in open) open[name] = '[hidden]'
    return open
  }

  [inspect.custom]() {
    return this.toJSON()
  }
}

/** A value for an error message; never one that may be a secret. */
function shown(value) {
  return inspect(value, { depth: 0, maxStringLength: 40 })
}

module.exports = { Guarded, shown }
