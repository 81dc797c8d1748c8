'use strict'

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const distLock = require('..')
const { clientKinds } = require('./support/clients.js')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

const starting = startRedis({ after })
let redis
before(async () => (redis = await starting))

async function connections() {
  return (await redis.command('CLIENT', 'LIST'))
    .split('\n')
    .filter((line) => / name=dist-lock /.test(line))
}

for (const kind of clientKinds) {
  for (const [way, close] of Object.entries(kind.closers)) {
    const skip = kind.skip
    test(`${kind.name}: ${way}() closes our connection too`, { skip }, async (t) => {
      const client = kind.open(t, { port: redis.port })
      await kind.ready(client)
      const lock = await distLock(client).acquire(`${kind.name} ${way}`)
      assert.equal((await connections()).length, 1)

      await close(client)

      await eventually(async () => (await connections()).length === 0, 'no connection is left')
      await assert.rejects(lock.release(), { code: 'ERR_LOCK_CLOSED' })
    })
  }
}
