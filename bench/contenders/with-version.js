'use strict'

const { packages } = require('../package-lock.json')

/** A library with its version. Not every package lets its package.json be required. */
function withVersion(name) {
  return `${name} ${packages[`node_modules/${name}`].version}`
}

module.exports = { withVersion }
