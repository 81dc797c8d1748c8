'use strict'

const distLock = require('dist-lock-2')
const { version } = require('dist-lock-2/package.json')
const client = require('redis-3/package.json')
const { onCallbacks } = require('./callback-locks.js')

/** The original, which everything is measured against. */
module.exports = onCallbacks(`dist-lock ${version}, on redis ${client.version}`, distLock)
