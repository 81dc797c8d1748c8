'use strict'

const distLock = require('../../index.js')
const { version } = require('../../package.json')
const { onCallbacks } = require('./callback-locks.js')

/** This package in a program that was written for the original: the same client, callbacks. */
module.exports = onCallbacks(`dist-lock ${version} as drop-in`, distLock)
