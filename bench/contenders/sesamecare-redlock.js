'use strict'

const { Redlock } = require('@sesamecare-oss/redlock')
const { redlockOnIoredis } = require('./redlocks.js')
const { withVersion } = require('./with-version.js')

/** redlock 5, maintained elsewhere. */
module.exports = redlockOnIoredis(withVersion('@sesamecare-oss/redlock'), Redlock)
