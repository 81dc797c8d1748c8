'use strict'

// docs/deployments.md, "Users with few rights": the lines there are sufficient, and minimal.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

const root = path.join(__dirname, '..')
const read = (file) => fs.readFileSync(path.join(root, file), 'utf8')

/** The rules of the lines, in the order of the page. */
const [WITH_QUEUE, WITHOUT, IN_SELECTOR] = [
  ...read('docs/deployments.md').matchAll(/```acl\nACL SETUSER locks (.*)\n```/g),
].map(([, rules]) => rules.split(' '))

const commandsOf = (rules) =>
  rules.filter((rule) => rule.startsWith('+')).map((rule) => rule.slice(1))

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

let count = 0

/** A manager for a new user with such rules, save for some. */
async function locksOf(rules, ...without) {
  const username = `user${++count}`
  const left = rules.filter((rule) => !without.includes(rule))
  // A selector is one argument.
  const args = left.join(' ').match(/\(.*\)|\S+/g)
  await redis.command('ACL', 'SETUSER', username, ...args)
  const settings = { host: redis.host, port: redis.port, username, password: 'password' }
  return distLock(settings, { retryDelay: 5 })
}

/** A lock of version 2's on a resource. */
const lockOfVersion2 = async (resource) => {
  await redis.command('HMSET', `lock:${resource}`, 'id', 'theirs', 'owner', '')
  await redis.command('PEXPIRE', `lock:${resource}`, 30)
}

/** All that a manager does, alone, among its own and with other processes. */
async function assertLocks(locks) {
  const resource = `rights:${++count}`
  // Another connection, so to Redis another process.
  const others = distLock(`unix://${redis.path}`, { retryDelay: 5 })

  const lock = await locks.acquire(resource, { owner: 'me' })
  assert.equal((await locks.getAcquiredLock(resource)).owner, 'me')
  assert.equal(await lock.extend(60000), true)
  assert.equal(await locks.acquire(resource, { maxRetries: 1 }), false)
  const waiting = [locks, others, locks, others].map((from) => from.acquire(resource))
  assert.equal(await lock.extend(59000), true)
  assert.equal(await lock.release(), true)
  const released = waiting.map(async (waiter) => (await waiter).release())
  assert.deepEqual(await Promise.all(released), [true, true, true, true])

  await lockOfVersion2(resource)
  assert.equal(await (await locks.acquire(resource)).release(), true)
  assert.equal(await locks.getAcquiredLock(resource), null)
}

/** Each of the calls with what it failed with, or undefined. */
async function failures(locks) {
  const resource = `rights:${++count}`
  const calls = {
    acquire: () => locks.acquire(resource, { ttl: 60000 }),
    getAcquiredLock: () => locks.getAcquiredLock(resource),
    extendLock: () => locks.extendLock(resource, 'theirs', 1000),
    releaseLock: () => locks.releaseLock(resource, 'theirs'),
  }
  const errors = {}
  errors.acquire = await calls.acquire().then(
    () => undefined,
    (error) => error,
  )
  assert.notEqual(await redis.command('PTTL', `lock:${resource}`), -1, 'a lock without an end')
  for (const method of ['getAcquiredLock', 'extendLock', 'releaseLock']) {
    await redis.command('HMSET', `lock:${resource}`, 'id', 'theirs')
    await redis.command('PEXPIRE', `lock:${resource}`, 60000)
    errors[method] = await calls[method]().then(
      () => undefined,
      (error) => error,
    )
  }
  return Object.entries(errors).filter(([, error]) => error)
}

function assertRefused([method, error]) {
  assert.equal(error.code, 'ERR_LOCK_REDIS', `${method}: ${error.stack}`)
  assert.match(error.redisCode, /^(NOPERM|ERR)$/)
  assert.match(error.message, /permission|can't run this command/)
}

test('the page has the lines', () => {
  assert.ok(WITH_QUEUE.length > 20 && WITHOUT.length > 10 && IN_SELECTOR.length > 20)
})

test('a user with the rights of the first line has all there is', async () => {
  const locks = await locksOf(WITH_QUEUE)

  assert.deepEqual(await locks.info(), { mode: 'queue' })
  await assertLocks(locks)
  assert.ok((await locks.acquire('token')).fencingToken > 0)
})

test('a user with the rights of the second line can lock and wait', async () => {
  const locks = await locksOf(WITHOUT)

  assert.equal((await locks.info()).mode, 'classic')
  await assertLocks(locks)
})

test('a user whose rights are in a selector has all there is', async (t) => {
  const [major] = (await redis.command('INFO', 'server')).match(/(?<=redis_version:)\d+/)
  if (Number(major) < 7) return t.skip('this Redis has no selectors')
  const locks = await locksOf(IN_SELECTOR)

  assert.deepEqual(await locks.info(), { mode: 'queue' })
  await assertLocks(locks)
})

describe('with the first line, but without', () => {
  for (const command of commandsOf(WITH_QUEUE)) {
    test(command, async () => {
      const locks = await locksOf(WITH_QUEUE, `+${command}`)
      if (command === 'evalsha') {
        assert.deepEqual(await locks.info(), { mode: 'queue' })
        return assertLocks(locks)
      }

      const { mode, reason } = await locks.info()
      assert.equal(mode, 'classic')
      assert.match(reason, new RegExp(`^NOPERM .*\\b${command}\\b`, 'i'))
      // The scripts work without messages, by polling.
      if (command === 'subscribe') return assertLocks(locks)
      const refused = await failures(locks)
      assert.notEqual(refused.length, 0)
      refused.forEach(assertRefused)
    })
  }

  test('its keys', async () => {
    const locks = await locksOf([...WITH_QUEUE, '+hmset', '+hget'], '~dist-lock:*')

    const { mode, reason } = await locks.info()
    assert.equal(mode, 'classic')
    assert.match(reason, /^NOPERM .*key/)
    await assertLocks(locks)
  })

  test('its channel', async () => {
    const locks = await locksOf([...WITH_QUEUE, '+hmset', '+hget'], '&dist-lock:*')

    const { mode, reason } = await locks.info()
    assert.equal(mode, 'classic')
    assert.match(reason, /channel/)
    await assertLocks(locks)
  })

  test('the keys of locks', async () => {
    const refused = await failures(await locksOf(WITH_QUEUE, '~lock:*'))

    assert.equal(refused.length, 4)
    for (const [method, { redisCode }] of refused) assert.equal(redisCode, 'NOPERM', method)
  })
})

describe('with the second line, but without', () => {
  for (const command of commandsOf(WITHOUT)) {
    test(command, async () => {
      const locks = await locksOf(WITHOUT, `+${command}`)
      if (command === 'evalsha') return assertLocks(locks)
      // Others may have left the script there, and then nobody needs to send it.
      if (command === 'eval') await redis.command('SCRIPT', 'FLUSH')

      const refused = await failures(locks)

      assert.notEqual(refused.length, 0)
      refused.forEach(assertRefused)
    })
  }
})

test('with both lines a user who loses any right to the queue locks without it', async () => {
  const both = [...new Set([...WITH_QUEUE, ...WITHOUT])]
  for (const command of commandsOf(WITH_QUEUE).filter(
    (name) => !commandsOf(WITHOUT).includes(name),
  )) {
    const locks = await locksOf(both, `+${command}`)

    assert.equal((await locks.info()).mode, 'classic', command)
    await assertLocks(locks)
  }
})

test('changed rights count once the connection was made anew', async () => {
  const locks = await locksOf(WITH_QUEUE)
  const username = `user${count}`
  assert.equal((await locks.info()).mode, 'queue')

  await redis.command('ACL', 'SETUSER', username, '-publish', '+hmset', '+hget')
  await redis.command('CLIENT', 'KILL', 'USER', username)

  const isClassic = async () => (await locks.info()).mode === 'classic'
  await eventually(isClassic, 'without a queue')
  await assertLocks(locks)
})

describe('the scripts', () => {
  const sources = (dir) =>
    fs
      .readdirSync(path.join(root, dir), { withFileTypes: true })
      .filter((file) => file.isFile())
      .map(({ name }) => path.join(dir, name))
  const run = (files) =>
    [
      ...new Set(
        files.flatMap((file) =>
          [...read(file).matchAll(/\b(?:p?call|try)\('(\w+)'/g)].map(([, name]) =>
            name.toLowerCase(),
          ),
        ),
      ),
    ].sort()
  const probe = path.join('src/lua', 'probe.lua')
  const queue = [...sources('src/lua'), ...sources('src/lua/queue')].filter(
    (file) => file !== probe,
  )
  const direct = (names) => names.filter((name) => !['eval', 'evalsha', 'subscribe'].includes(name))

  test('run the commands of the lines, one that helps, and no others', () => {
    assert.deepEqual(run(queue), direct(commandsOf(WITH_QUEUE)).sort())
    const classic = [...direct(commandsOf(WITHOUT)), 'pttl']
    assert.deepEqual(run(sources('src/lua/classic')), classic.sort())
  })

  test('run no command that is not tried when connecting', () => {
    assert.deepEqual(run([probe]), run(queue))
  })
})
