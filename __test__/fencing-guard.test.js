'use strict'

// What README.md says of fencing tokens, run: with the token a late write is refused, without it an
// update is lost.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { after, before, test } = require('node:test')
const { promisify } = require('node:util')
const initSql = require('sql.js')
const distLock = require('../index.js')
const { startRedis } = require('./support/redis.js')

const ROOT = join(__dirname, '..')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

/** Two holders each add 10 to a balance; the first is paused until its lock is over. */
async function addTwice(statement) {
  const { Database } = await initSql()
  const database = new Database()
  database.run('CREATE TABLE accounts (id INTEGER, balance INTEGER, fence INTEGER)')
  database.run('INSERT INTO accounts VALUES (42, 0, 0)')
  const balance = () => database.exec('SELECT balance FROM accounts')[0].values[0][0]
  const write = (value, token) => {
    database.run(statement, [value, token, 42])
    return database.getRowsModified() === 1
  }
  const locks = distLock(`redis://127.0.0.1:${redis.port}`)

  const paused = await locks.acquire('account', { ttl: 100 })
  const seen = balance()
  const other = await locks.acquire('account')
  assert.ok(write(balance() + 10, other.fencingToken))
  const accepted = write(seen + 10, paused.fencingToken)
  await locks.close({ release: true })
  return { accepted, balance: balance() }
}

const [, guarded] = /```sql\n(.*?)\n```/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))

test('the statement in the README refuses the write of a holder that was paused', async () => {
  assert.deepEqual(await addTwice(guarded), { accepted: false, balance: 10 })
})

test('the same statement without the token loses the other update', async () => {
  const unguarded = 'UPDATE accounts SET balance = $1, fence = $2 WHERE id = $3'

  assert.deepEqual(await addTwice(unguarded), { accepted: true, balance: 10 })
})

test('a holder that was not overtaken may write as often as it likes', async () => {
  const { Database } = await initSql()
  const database = new Database()
  database.run('CREATE TABLE accounts (id INTEGER, balance INTEGER, fence INTEGER)')
  database.run('INSERT INTO accounts VALUES (42, 0, 0)')
  const locks = distLock(`redis://127.0.0.1:${redis.port}`)
  const lock = await locks.acquire('account')

  for (const balance of [1, 2]) {
    database.run(guarded, [balance, lock.fencingToken, 42])
    assert.equal(database.getRowsModified(), 1)
  }
  await locks.close({ release: true })
})

test('examples/fencing.js loses an update without the token and none with it', async () => {
  const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${redis.port}` }
  const example = join(ROOT, 'examples/fencing.js')

  const { stdout } = await promisify(execFile)(process.execPath, [example], { env })

  assert.deepEqual(stdout.trim().split('\n'), [
    'without the token: 1 + 1 = 1, an update was lost',
    'with the token:    1 + 1 = 2, the late write was refused',
  ])
})
