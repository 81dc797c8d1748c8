'use strict'

const os = require('node:os')

/** What the figures depend on, and no name of anybody's. */
async function describeMachine(redis) {
  const server = await redis.command('INFO', 'server')
  const field = (name) => new RegExp(`^${name}:(.+?)\r?$`, 'm').exec(server)?.[1]
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    system: `${os.type()} ${os.arch()}`,
    node: process.version,
    server: field('valkey_version')
      ? `Valkey ${field('valkey_version')}`
      : `Redis ${field('redis_version')}`,
    date: new Date().toISOString().slice(0, 10),
  }
}

module.exports = { describeMachine }
