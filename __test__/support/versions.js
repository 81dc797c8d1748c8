'use strict'

/** What a program is given by either version. */
const distLocks = {
  'version 2': require('dist-lock-2'),
  'version 3': require('../..'),
}

module.exports = { distLocks, VERSIONS: Object.keys(distLocks) }
