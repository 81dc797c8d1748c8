'use strict'

// Servers and gateways that know fewer commands: a lock is got by what there is, or it is said what
// is missing.

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const distLock = require('..')
const { assertLockError, failure } = require('./support/outcome.js')
const { startGateway } = require('./support/gateway.js')
const { startRedis } = require('./support/redis.js')

const LIMITS = { retryDelay: 5 }
/** What is said at once does not wait for `connectTimeout`. */
const AT_ONCE = 4000

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

let count = 0

/** All four methods, and a lock that is waited for, on a resource of its own. */
async function assertLocks(locks) {
  const resource = `gateway:${++count}`
  const lock = await locks.acquire(resource, 'me')
  assert.equal((await locks.getAcquiredLock(resource)).owner, 'me')
  assert.equal(await lock.extend(60000), true)
  const waiting = Array.from({ length: 3 }, () => locks.acquire(resource))
  assert.equal(await locks.acquire(resource, { maxRetries: 1 }), false)
  assert.equal(await lock.release(), true)
  const released = waiting.map(async (waiter) => (await waiter).release())
  assert.deepEqual(await Promise.all(released), [true, true, true])
  assert.equal(await locks.getAcquiredLock(resource), null)
}

const unknown = (command) => `ERR unknown command '${command}', with args beginning with: 'x' `

/** A manager behind a gateway that refuses some commands: with an error, or by hanging up. */
async function behind(t, refused, refusal = unknown) {
  const gateway = await startGateway(t, redis, ([name, subcommand]) => {
    const isRefused = refused.includes(name) || refused.includes(`${name} ${subcommand}`)
    return isRefused ? refusal(name) : undefined
  })
  return { locks: distLock(gateway.url, LIMITS), gateway }
}

describe('with a queue all the same, where a gateway does not know', () => {
  for (const refused of [
    ['SCRIPT'],
    ['CLIENT'],
    ['INFO'],
    ['EVALSHA'],
    ['PING'],
    ['EVALSHA', 'SCRIPT', 'CLIENT', 'INFO', 'PING'],
  ]) {
    test(refused.join(', '), async (t) => {
      const { locks, gateway } = await behind(t, refused)

      await assertLocks(locks)

      assert.deepEqual(await locks.info(), { mode: 'queue' })
      const more = ['HELLO', 'SELECT', 'CONFIG', 'MULTI', 'COMMAND', 'AUTH']
      assert.deepEqual(
        gateway.seen.filter((name) => more.includes(name)),
        [],
        'nothing else was asked for',
      )
    })
  }
})

describe('without a queue, and info says why, where a gateway', () => {
  const cases = {
    'does not know SUBSCRIBE': [['SUBSCRIBE'], unknown, /unknown command 'SUBSCRIBE'/],
    'hangs up on SUBSCRIBE': [['SUBSCRIBE'], () => 'hang up', /hung up/],
    'forbids SUBSCRIBE': [['SUBSCRIBE'], () => 'NOPERM no pub/sub here', /NOPERM no pub\/sub here/],
  }
  for (const [what, [refused, refusal, reason]] of Object.entries(cases)) {
    test(what, async (t) => {
      const { locks } = await behind(t, refused, refusal)

      await assertLocks(locks)

      const info = await locks.info()
      assert.equal(info.mode, 'classic')
      assert.match(info.reason, reason)
    })
  }
})

test('a server that does not know PUBLISH has no queue, and says so', async (t) => {
  const server = await startRedis(t, { args: ['--rename-command', 'PUBLISH', ''] })
  const locks = distLock(server.url, LIMITS)

  await assertLocks(locks)

  const { mode, reason } = await locks.info()
  assert.equal(mode, 'classic')
  assert.equal(reason, 'ERR unknown command: PUBLISH')
})

describe('there is no lock, and it is said what is missing, where', () => {
  for (const refused of [
    ['EVAL', 'EVALSHA'],
    ['EVAL', 'EVALSHA', 'SCRIPT'],
  ]) {
    test(`a gateway does not know ${refused.join(', ')}`, async (t) => {
      const { locks } = await behind(t, refused)

      const calls = [locks.acquire('a'), locks.acquire('b'), locks.releaseLock('a', 'x')]
      const errors = await Promise.all(calls.map((call) => failure(call, AT_ONCE)))

      for (const [at, resource] of ['a', 'b', 'a'].entries()) {
        const code = 'ERR_LOCK_UNSUPPORTED'
        assertLockError(errors[at], { code, cause: /^unknown command 'EVAL'$/, resource })
        const message = "this Redis cannot keep locks: unknown command 'EVAL'"
        assert.equal(errors[at].message, message)
      }
      const { mode, reason } = await locks.info()
      assert.deepEqual([mode, reason], ['classic', "ERR unknown command 'EVAL'"])
    })
  }

  test('EVAL and EVALSHA have other names', async (t) => {
    const args = ['EVAL', 'EVALSHA'].flatMap((name) => ['--rename-command', name, `my-${name}`])
    const server = await startRedis(t, { args })

    const error = await failure(distLock(server.url, LIMITS).acquire('a'), AT_ONCE)

    assertLockError(error, { code: 'ERR_LOCK_UNSUPPORTED', cause: /'EVAL'/, resource: 'a' })
  })

  test('HMGET has another name and somebody looks', async (t) => {
    const server = await startRedis(t, { args: ['--rename-command', 'HMGET', 'my-hmget'] })

    const error = await failure(distLock(server.url, LIMITS).getAcquiredLock('a'), AT_ONCE)

    assertLockError(error, { code: 'ERR_LOCK_UNSUPPORTED', cause: /'HMGET'/, resource: 'a' })
  })
})

test('a server with a single database is asked for no other', async (t) => {
  const server = await startRedis(t, { args: ['--databases', 1] })
  const gateway = await startGateway(t, server, ([name]) =>
    name === 'SELECT' ? unknown(name) : undefined,
  )

  await assertLocks(distLock(gateway.url, LIMITS))

  const error = await failure(distLock(`${gateway.url}/1`, LIMITS).acquire('a'), AT_ONCE)
  assertLockError(error, {
    code: 'ERR_LOCK_REDIS',
    redisCode: 'ERR',
    cause: 'ERR',
    resource: 'a',
  })
  assert.match(error.message, /SELECT/)
})
