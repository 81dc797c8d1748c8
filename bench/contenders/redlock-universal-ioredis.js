'use strict'

const Redis = require('ioredis')
const { version } = require('ioredis/package.json')
const { IoredisAdapter } = require('redlock-universal')
const { redlockUniversal } = require('./redlock-universals.js')
const { withVersion } = require('./with-version.js')

module.exports = redlockUniversal(
  `${withVersion('redlock-universal')}, on ioredis ${version}`,
  (url) => {
    const client = new Redis(url)
    return { adapter: new IoredisAdapter(client), close: () => client.quit() }
  },
)
