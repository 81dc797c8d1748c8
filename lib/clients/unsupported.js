'use strict'

const SENTINEL =
  'a Sentinel client of redis keeps its options to itself: pass the settings ' +
  '{ sentinels: [{ host, port }], name, username, password, sentinelUsername, sentinelPassword }'

/** What is recognised in order to say why it cannot be used. */
module.exports = [
  row('Sentinel', isSentinel, SENTINEL),
  row('pool', isPool, 'got a pool: pass a client, URL or settings instead'),
  row('pipeline', isPipeline, 'got a pipeline: pass the client it was made with'),
]

function row(name, is, refusal) {
  return { name, is, refuse: () => refusal }
}

/** Of redis 5 and 6; the client of ioredis is an ordinary one with other options. */
function isSentinel(client) {
  return has(client, 'getSentinelNode')
}

/** Of redis 5 and 6. */
function isPool(client) {
  return has(client, 'idleClients') && has(client, 'totalClients')
}

/** Of ioredis and iovalkey. */
function isPipeline(client) {
  return has(client, '_queue') && has(client, 'redis')
}

function has(value, name) {
  return typeof value === 'object' && value !== null && name in value
}
