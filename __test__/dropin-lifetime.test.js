'use strict'

// How long a process lives, and what it still does at its end.

const assert = require('node:assert/strict')
const { test, after, before, beforeEach } = require('node:test')
const { runProgram } = require('./support/program.js')
const { freePort, startRedis } = require('./support/redis.js')
const { VERSIONS } = require('./support/versions.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

/** Version 2 has quirks of its own with the other clients when these are closed. */
const KINDS = {
  'version 2': ['redis-3.1'],
  'version 3': ['redis-0.12', 'redis-3.1', 'ioredis-5'],
}

/** Runs a program with each version, or those named, each client and each closer, all at once. */
async function runAll(t, main, { closers = [undefined], versions = VERSIONS, ...others } = {}) {
  const runs = []
  for (const version of versions) {
    for (const kind of KINDS[version]) {
      for (const closer of closers) {
        const name = `resource ${runs.length}`
        const options = { version, kind, port: redis.port, closer, name, ...others }
        runs.push(runProgram(t, options, main).then((outcome) => ({ ...options, ...outcome })))
      }
    }
  }
  return Promise.all(runs)
}

/** It ended by itself, without complaints. */
function endedWell(outcome) {
  const { version, kind, closer } = outcome
  const who = `${version} on ${kind}, ${closer ?? 'not closed'}`
  assert.equal(outcome.signal, null, `${who}: did not end`)
  assert.equal(outcome.code, 0, `${who}: ${outcome.errors}`)
  assert.equal(outcome.errors, '', who)
}

const CLOSERS = ['quit', 'end']

test('a process stays alive while its client is open, though nothing is pending', async (t) => {
  const outcomes = await runAll(t, ({ locks, name, say }) => {
    locks.acquire(name, (error, lock) => {
      lock.release(() => {
        // Comes only where something else keeps the process alive.
        setTimeout(() => process.exit(say('alive')), 200).unref()
      })
    })
  })

  for (const { said } of outcomes) assert.deepEqual(said, [['alive']])
})

test('a process stays alive while it waits for a lock', async (t) => {
  const outcomes = await runAll(t, ({ locks, name, say }) => {
    locks.acquire(name, () => {
      locks.acquire(name, () => say('impossible'))
      setTimeout(() => process.exit(say('alive')), 200).unref()
    })
  })

  for (const { said } of outcomes) assert.deepEqual(said, [['alive']])
})

test('a process ends after its client was closed, with a lock held', async (t) => {
  const outcomes = await runAll(
    t,
    ({ locks, close, name }) => {
      locks.acquire(name, () => setImmediate(() => close()))
    },
    { closers: CLOSERS },
  )

  outcomes.forEach(endedWell)
})

test('a process ends after its client was closed, with a lock waited for', async (t) => {
  const outcomes = await runAll(
    t,
    ({ locks, close, name }) => {
      locks.acquire(name, () => {
        locks.acquire(name, () => {})
        setTimeout(() => close(), 20)
      })
    },
    { closers: CLOSERS },
  )

  outcomes.forEach(endedWell)
})

test('who waits for a lock when the client is closed is told so, once', async (t) => {
  const outcomes = await runAll(
    t,
    ({ locks, close, name, say }) => {
      locks.acquire(name, () => {
        locks.acquire(name, (...args) => say(args.length, args[0].code))
        locks.acquire(name).catch((error) => say('promise', error.code))
        setTimeout(() => close(), 20)
      })
    },
    { closers: CLOSERS, versions: ['version 3'] },
  )

  for (const outcome of outcomes) {
    endedWell(outcome)
    assert.deepEqual(outcome.said.slice().sort(), [
      [1, 'ERR_LOCK_CLOSED'],
      ['promise', 'ERR_LOCK_CLOSED'],
    ])
  }
})

test('a release and a quit in one tick still release', async (t) => {
  const outcomes = await runAll(t, ({ locks, client, name, say }) => {
    locks.acquire(name, (error, lock) => {
      lock.release((...args) => say(...args))
      client.quit()
    })
  })

  for (const outcome of outcomes) {
    endedWell(outcome)
    assert.deepEqual(outcome.said, [[null, true]])
    assert.equal(await redis.command('EXISTS', `lock:${outcome.name}`), 0)
  }
})

test('a bare release and a quit in one tick still release', async (t) => {
  const outcomes = await runAll(
    t,
    ({ locks, client, name }) => {
      locks.acquire(name, (error, lock) => {
        lock.release()
        client.quit()
      })
    },
    { versions: ['version 3'] },
  )

  for (const outcome of outcomes) {
    endedWell(outcome)
    assert.equal(await redis.command('EXISTS', `lock:${outcome.name}`), 0)
  }
})

test('a release and a quit in the first tick, before any connection, still release', async (t) => {
  for (let index = 0; index < 4; index++) {
    await redis.command('HSET', `lock:resource ${index}`, 'id', 'left over', 'owner', '')
  }

  const outcomes = await runAll(t, ({ locks, client, name, say }) => {
    locks.releaseLock(name, 'left over', (...args) => say(...args))
    client.quit()
  })

  for (const outcome of outcomes) {
    assert.equal(await redis.command('EXISTS', `lock:${outcome.name}`), 0, outcome.kind)
    endedWell(outcome)
    assert.deepEqual(outcome.said, [[null, true]])
  }
})

test('an acquire and a quit in one tick end once, with the lock or without one', async (t) => {
  const outcomes = await runAll(
    t,
    ({ locks, client, name, say }) => {
      locks.getAcquiredLock(name, () => {
        locks.acquire(name, (error, lock) => say(error ? error.code : lock.id))
        client.quit()
      })
    },
    { versions: ['version 3'] },
  )

  for (const outcome of outcomes) {
    endedWell(outcome)
    const holder = await redis.command('HGET', `lock:${outcome.name}`, 'id')
    assert.deepEqual(outcome.said, [[holder ?? 'ERR_LOCK_CLOSED']])
  }
})

test('process.exit() ends a process at once, whatever is pending', async (t) => {
  const outcomes = await runAll(t, ({ locks, name, say }) => {
    locks.acquire(name, () => {
      for (let index = 0; index < 100; index++) locks.acquire(name, () => say('impossible'))
      setTimeout(() => process.exit(7), 20)
    })
  })

  for (const { said, code, signal } of outcomes)
    assert.deepEqual([said, code, signal], [[], 7, null])
})

test('a program without an error listener survives that there is no server', async (t) => {
  const outcomes = await runAll(
    t,
    ({ locks, client, say }) => {
      locks.getAcquiredLock('a', () => {})
      client.on('reconnecting', () => process.exit(say('survived')))
    },
    { port: await freePort() },
  )

  for (const { said, errors } of outcomes) {
    assert.deepEqual(said, [['survived']])
    assert.equal(errors, '')
  }
})

test('without a client a process ends when no call is pending, with a lock held', async (t) => {
  const options = { version: 'version 3', kind: 'redis-3.1', port: redis.port, url: redis.url }

  const outcome = await runProgram(t, options, async ({ client, distLock, url, say }) => {
    client.end(true)
    const locks = distLock(url)
    const lock = await locks.acquire('without a client', { ttl: 300 })
    const waited = await locks.acquire('without a client')
    say(lock.id !== waited.id)
  })

  endedWell(outcome)
  assert.deepEqual(outcome.said, [[true]])
})
