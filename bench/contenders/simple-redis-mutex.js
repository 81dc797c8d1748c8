'use strict'

const { createClient } = require('redis')
const { lock } = require('simple-redis-mutex')
const { withVersion } = require('./with-version.js')

let client

/**
 * As it comes: a ttl of 30 s, everybody is woken by a message at each release, and a try each 10 s
 * besides. It has no renewal.
 */
module.exports = {
  name: withVersion('simple-redis-mutex'),
  async open(url) {
    client = await createClient({ url }).connect()
  },
  acquire: (resource) => lock(client, resource),
  release: (release) => release(),
  close: () => client.close(),
}
