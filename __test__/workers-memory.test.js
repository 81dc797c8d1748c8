'use strict'

// `memory:` is one store for all threads of a process, by name.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const distLock = require('../index.js')
const { runChild } = require('./support/child.js')

/** Has a worker try to acquire what the main thread holds; whether it could. */
async function acquiredInThread(t, mine, its) {
  const program = async ({ distLock, thread, say, mine, its }) => {
    const lock = await distLock(mine).acquire('a')
    const worker = thread({ its }, async ({ distLock, say, its }) => {
      say('acquired', Boolean(await distLock(its).acquire('a', { timeout: 1000 })))
    })
    const [, acquired] = await worker.heard('acquired')
    say('acquired', acquired, await lock.release())
  }
  const { said, code, errors } = await runChild(t, { mine, its }, program)
  assert.equal(code, 0, errors)
  const [, acquired, released] = said[0]
  assert.equal(released, true)
  return acquired
}

for (const source of ['memory:', 'memory:name']) {
  test(`${source} is shared by all threads of a process`, async (t) => {
    assert.equal(await acquiredInThread(t, source, source), false)
  })
}

test('memory: stores of different names know nothing of each other', async (t) => {
  assert.equal(await acquiredInThread(t, 'memory:one', 'memory:another'), true)
  assert.equal(await acquiredInThread(t, 'memory:', 'memory:name'), true)
})

test('memory: is not shared by two processes', async (t) => {
  const program = async ({ distLock, say }) => {
    say('acquired', Boolean(await distLock('memory:').acquire('a', { timeout: 1000 })))
  }
  const lock = await distLock('memory:').acquire('a')

  const { said } = await runChild(t, {}, program)

  assert.deepEqual(said, [['acquired', true]])
  assert.equal(await lock.release(), true)
})

test('a lock released by one thread is acquired by a waiter of another', async (t) => {
  const program = async ({ distLock, thread, say }) => {
    const lock = await distLock('memory:').acquire('a')
    const worker = thread({}, async ({ distLock, say }) => {
      const waiting = distLock('memory:').acquire('a')
      say('waits')
      say('acquired', Boolean(await waiting))
    })
    await worker.heard('waits')
    await lock.release()
    say(...(await worker.heard('acquired')))
  }

  const { said, code } = await runChild(t, {}, program)

  assert.deepEqual([said, code], [[['acquired', true]], 0])
})

test('a lock in memory: can be released in another thread by its id', async (t) => {
  const program = async ({ distLock, thread, say }) => {
    const lock = await distLock('memory:').acquire('a')
    const worker = thread({ id: lock.id }, async ({ distLock, say, id }) => {
      say('released', await distLock('memory:').releaseLock('a', id))
    })
    say(...(await worker.heard('released')), await lock.release())
  }

  const { said } = await runChild(t, {}, program)

  assert.deepEqual(said, [['released', true, false]])
})

test('a waiter for memory: whose thread is terminated never keeps the lock', async (t) => {
  const program = async ({ distLock, thread, say, until }) => {
    const locks = distLock('memory:')
    for (let round = 0; round < 5; round++) {
      const lock = await locks.acquire('a', { timeout: 5000 })
      const worker = thread({}, ({ distLock, say }) => {
        for (let at = 0; at < 50; at++) distLock('memory:').acquire('a')
        say('waits')
      })
      await worker.heard('waits')
      const released = lock.release()
      await worker.terminate()
      await released
      await until(async () => !(await locks.getAcquiredLock('a')), 'free')
    }
    say('free')
  }

  const { said, code, signal } = await runChild(t, {}, program)

  assert.deepEqual([said, code, signal], [[['free']], 0, null])
})

test('a lock in memory: outlives the thread that took it, up to its ttl', async (t) => {
  const program = async ({ distLock, thread, say }) => {
    const worker = thread({}, async ({ distLock, say }) => {
      await distLock('memory:').acquire('a', { ttl: 4000 })
      say('acquired')
    })
    await worker.heard('acquired')
    await worker.terminate()

    const locks = distLock('memory:')
    say('at once', Boolean(await locks.acquire('a', { timeout: 1000 })))
    say('later', Boolean(await locks.acquire('a', { timeout: 20000 })))
  }

  const { said } = await runChild(t, {}, program)

  assert.deepEqual(said, [
    ['at once', false],
    ['later', true],
  ])
})
