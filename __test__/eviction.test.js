'use strict'

// A server that drops keys when its memory is full may drop locks: said once, and nothing waits for it.

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { startGateway } = require('./support/gateway.js')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

const EVICTING = [
  ...['allkeys-lru', 'allkeys-lfu', 'allkeys-random'],
  ...['volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl'],
]
const LIMITED = ['--maxmemory', '100mb', '--maxmemory-policy']

let redis
const starting = startRedis(
  { after },
  {
    users: { ada: 'on >secret ~* &* +@all -info', default: 'on nopass ~* &* +@all' },
    args: ['--maxmemory', '100mb', '--databases', 2 * EVICTING.length + 3],
  },
)
before(async () => (redis = await starting))

/** The warnings of this process about the server at an address. */
const warnings = []
process.on('warning', (warning) => warnings.push(warning))
const warningsOf = (address) => warnings.filter(({ message }) => message.includes(address))

/** A database that nobody has used yet: settings of their own, so the server is asked again. */
let database = 0
const otherSettings = () => `redis://127.0.0.1:${redis.port}/${++database}`

/** Makes calls until what a new connection is asked has been answered, which is in the order of sending. */
async function connect(url) {
  const locks = distLock(url)
  await locks.getAcquiredLock('a')
  await locks.getAcquiredLock('a')
  await new Promise(setImmediate)
  return locks
}

test('a server that never drops keys, or has no limit, is no reason to warn', async () => {
  await connect(otherSettings())
  await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  await connect(otherSettings())

  await redis.command('CONFIG', 'SET', 'maxmemory', '100mb')
  assert.deepEqual(warningsOf(redis.port), [])
})

for (const policy of EVICTING) {
  test(`${policy} is warned of, once`, async () => {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', policy)

    await connect(otherSettings())
    await connect(otherSettings())

    const ofPolicy = () => warningsOf(redis.port).filter(({ message }) => message.includes(policy))
    await eventually(() => ofPolicy().length > 0, 'a warning')
    const [warning, ...others] = ofPolicy()
    assert.deepEqual(others, [])
    assert.equal(warning.name, 'DistLockWarning')
    assert.equal(warning.code, 'DIST_LOCK_EVICTION')
    assert.equal(
      warning.message,
      `Redis at 127.0.0.1:${redis.port} may drop locks when its memory is full: ` +
        `its maxmemory-policy is ${policy}`,
    )
    assert.match(warning.detail, /noeviction/)
  })
}

test('who may not ask for it locks as well, and is not warned', async () => {
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  const before = warnings.length
  const locks = await connect(`redis://ada:secret@127.0.0.1:${redis.port}`)

  assert.equal(await (await locks.acquire('a')).release(), true)
  assert.equal(warnings.length, before)
})

test('many calls at a time hear of it, too, over the connection that they share', async (t) => {
  const other = await startRedis(t, { args: [...LIMITED, 'volatile-ttl'] })
  const locks = distLock(`unix://${other.path}`)

  await Promise.all(Array.from({ length: 50 }, (_, n) => locks.acquire(`many:${n}`)))

  await eventually(() => warningsOf(other.path).length > 0, 'a warning')
})

test('a gateway that hangs up on that question is asked once, and gives locks', async (t) => {
  const gateway = await startGateway(t, redis, ([name]) =>
    name === 'INFO' ? 'hang up' : undefined,
  )
  const locks = distLock(gateway.url)

  assert.equal(await locks.getAcquiredLock('a'), null)
  const hungUp = () => gateway.seen.includes('INFO')
  await eventually(hungUp, 'the question')
  assert.equal(await (await locks.acquire('a')).release(), true)

  assert.equal(gateway.seen.filter((name) => name === 'INFO').length, 1)
})

/** What a process of its own writes when it and three threads use a server. */
async function written(t, server, flags) {
  const main = async ({ distLock, thread, say, url }) => {
    await distLock(url).getAcquiredLock('a')
    for (let worker = 0; worker < 3; worker++) {
      const start = async ({ distLock, say, url }) => {
        const locks = distLock(url)
        await locks.getAcquiredLock('a')
        await locks.getAcquiredLock('a')
        say('done')
      }
      // Other settings: each asks the server.
      await thread({ url: `${url}/${1 + worker}` }, start).heard('done')
    }
    await distLock(url).getAcquiredLock('a')
    say('end')
  }
  const { code, errors, said } = await runChild(t, { url: server.url }, main, flags)
  assert.deepEqual([said, code], [[['end']], 0], errors)
  return errors
}

test('it is said once in a process with several threads, and can be turned off', async (t) => {
  const other = await startRedis(t, { args: [...LIMITED, 'allkeys-lru'] })

  assert.equal((await written(t, other, [])).match(/DIST_LOCK_EVICTION/g).length, 1)
  const knowsFlag = process.allowedNodeEnvironmentFlags.has('--disable-warning')
  const flag = knowsFlag ? '--disable-warning=DIST_LOCK_EVICTION' : '--no-warnings'
  assert.equal(await written(t, other, [flag]), '')
})
