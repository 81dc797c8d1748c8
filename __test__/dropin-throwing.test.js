'use strict'

// What the callbacks of version 2 throw.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { runProgram } = require('./support/program.js')
const { startRedis } = require('./support/redis.js')
const { VERSIONS } = require('./support/versions.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

/** Runs a program with either version; how both ended. */
async function both(t, main) {
  await redis.command('FLUSHALL')
  const outcomes = []
  for (const version of VERSIONS) {
    outcomes.push(await runProgram(t, { version, kind: 'redis-3.1', port: redis.port }, main))
    await redis.command('FLUSHALL')
  }
  return outcomes
}

test('what a callback throws is an uncaughtException with that very value', async (t) => {
  const outcomes = await both(t, ({ locks, client, say }) => {
    const values = [new Error('thrown'), 'a text', { an: 'object' }, null, undefined, 0]
    let turn = 0
    process.on('unhandledRejection', () => say('unhandledRejection'))
    process.on('uncaughtException', (error, origin) => {
      say('uncaughtException', origin, error === values[turn++])
      next()
    })
    next()

    function next() {
      if (turn === values.length) return client.quit()
      locks.acquire(`a${turn}`, () => {
        throw values[turn]
      })
    }
  })

  for (const { said, code } of outcomes) {
    assert.deepEqual(said, Array(6).fill(['uncaughtException', 'uncaughtException', true]))
    assert.equal(code, 0)
  }
})

test('it is so for each of the methods, and for errors of Redis', async (t) => {
  const outcomes = await both(t, ({ locks, client, say }) => {
    const thrown = new Error('thrown')
    process.on('uncaughtException', (error) => {
      say(error === thrown)
      steps.shift()?.()
    })
    const fail = () => {
      throw thrown
    }
    const steps = [
      () => locks.getAcquiredLock('a', fail),
      () => locks.releaseLock('a', 'id', fail),
      () => locks.extendLock('a', 'id', 1000, fail),
      () => client.set('lock:text', 'text', () => locks.getAcquiredLock('text', fail)),
      () => locks.acquire('b', (error, lock) => lock.extend(1000, fail)),
      () => locks.acquire('c', (error, lock) => lock.release(fail)),
      () => client.quit(),
    ]
    locks.acquire('a', fail)
  })

  for (const { said, code } of outcomes) {
    assert.deepEqual(said, Array(7).fill([true]))
    assert.equal(code, 0)
  }
})

// Version 2 on redis-3.1 lost replies here: it threw through the client's parser.
test('after a callback that threw the others still come, each once and in order', async (t) => {
  await redis.command('FLUSHALL')
  const options = { version: 'version 3', kind: 'redis-3.1', port: redis.port }

  const { said, code } = await runProgram(t, options, ({ locks, client, say }) => {
    const came = []
    const thrown = []
    process.on('uncaughtException', (error) => {
      thrown.push(error.message)
      sayAtTheEnd()
    })
    for (let index = 0; index < 30; index++) {
      locks.acquire(`a${index}`, () => {
        came.push(index)
        setImmediate(sayAtTheEnd)
        if (index % 3 === 0) throw new Error(`${index}`)
      })
    }

    function sayAtTheEnd() {
      if (came.length < 30 || thrown.length < 10 || client.closing) return
      say(came, thrown)
      client.quit()
    }
  })

  const all = Array.from({ length: 30 }, (_, index) => index)
  const thrown = all.filter((index) => index % 3 === 0).map(String)
  assert.deepEqual(said, [[all, thrown]])
  assert.equal(code, 0)
})

test('without a listener the process ends with the error and its stack', async (t) => {
  const outcomes = await both(t, ({ locks }) => {
    locks.acquire('a', function namedInTheStack() {
      throw new Error('thrown in a callback')
    })
  })

  for (const { code, errors } of outcomes) {
    assert.notEqual(code, 0)
    assert.match(errors, /Error: thrown in a callback\n\s+at namedInTheStack/)
    assert.doesNotMatch(errors, /unhandled/i)
  }
})
