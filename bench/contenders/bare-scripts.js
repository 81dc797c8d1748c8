'use strict'

// The original's own scripts, for the floors: the least that a lock in its format can cost.

const fs = require('node:fs')
const path = require('node:path')

const directory = path.join(path.dirname(require.resolve('dist-lock-2')), 'lua')
const prefix = `c${Date.now().toString(36)}`.padEnd(16, '0')
let count = 0

module.exports = {
  ACQUIRE: fs.readFileSync(path.join(directory, 'createLock.lua'), 'utf8'),
  RELEASE: fs.readFileSync(path.join(directory, 'deleteLock.lua'), 'utf8'),
  TTL: '30000',
  /** As long as an id of the original, and as cheap as can be. */
  newId: () => prefix + (++count).toString(36).padStart(9, '0'),
}
