'use strict'

const { default: Redlock } = require('redlock')
const { redlockOnIoredis } = require('./redlocks.js')
const { withVersion } = require('./with-version.js')

/** The best known one, in its last version: 5 never left beta. */
module.exports = redlockOnIoredis(withVersion('redlock'), Redlock)
