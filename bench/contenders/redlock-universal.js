'use strict'

const { createClient } = require('redis')
const { version } = require('redis/package.json')
const { NodeRedisAdapter } = require('redlock-universal')
const { redlockUniversal } = require('./redlock-universals.js')
const { withVersion } = require('./with-version.js')

/** On the faster of its clients. */
module.exports = redlockUniversal(
  `${withVersion('redlock-universal')}, on redis ${version}`,
  async (url) => {
    const client = await createClient({ url }).connect()
    return { adapter: new NodeRedisAdapter(client), close: () => client.close() }
  },
)
