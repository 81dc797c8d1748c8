'use strict'

const { version } = require('redis-3/package.json')
const distLock = require('../../index.js')
const { onCallbacks } = require('./callback-locks.js')

/** This package in a program that was written for the original: the same client, callbacks. */
module.exports = onCallbacks(`… with callbacks, on redis ${version}`, distLock)
