'use strict'

const redis = require('redis-3.1')

/** A client of redis 3, which knows fewer kinds of URL than dist-lock does. */
function createClient(url) {
  if (url.startsWith('unix:')) return redis.createClient(new URL(url).pathname)
  return redis.createClient(url.replace(/^valkey/, 'redis'))
}

module.exports = { createClient }
