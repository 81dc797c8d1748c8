'use strict'

// The Web Locks API in one process: how a request ends by a signal, or with its manager.

const assert = require('node:assert/strict')
const { getEventListeners } = require('node:events')
const { test } = require('node:test')
const { eventually } = require('./support/outcome.js')
const { inEachStore, hold, isFree } = require('./support/web.js')

inEachStore(({ open }) => {
  test('an abort ends the wait at once, with its reason', async () => {
    const locks = open()
    const first = await hold(locks, 'a')
    const controller = new AbortController()
    const { signal } = controller
    const waits = locks.request('a', { signal }, assert.fail)
    const next = locks.request('a', () => 'next')
    assert.equal((await locks.query()).pending.length, 2)
    let outcome
    waits.catch((error) => (outcome = error))

    controller.abort('reason')
    for (let turn = 0; turn < 10; turn++) await undefined

    assert.equal(outcome, 'reason')
    assert.equal((await locks.query()).pending.length, 1)
    await assert.rejects(locks.request('a', { signal }, assert.fail), (error) => error === 'reason')
    first.open()
    assert.equal(await next, 'next')
  })

  test('an abort that crosses the grant gives the lock back, one during the callback changes nothing', async () => {
    const locks = open()
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController()
      // Both are granted in one step, and the abort comes between the grant and the callback.
      const other = locks.acquire('b').then((lock) => {
        controller.abort('crossed')
        return lock.release()
      })
      const request = locks.request('a', { signal: controller.signal }, assert.fail)

      await assert.rejects(request, (error) => error === 'crossed')
      assert.equal(await other, true)
      await eventually(() => isFree(locks, 'a'), 'given back')
    }
    const controller = new AbortController()
    const during = locks.request('a', { signal: controller.signal }, async () => {
      controller.abort()
      return 'done'
    })
    assert.equal(await during, 'done')
  })

  test('a signal may end many requests: nobody is warned, and nothing stays on it', async () => {
    const locks = open()
    const warnings = []
    const warn = (warning) => warnings.push(warning.name)
    process.on('warning', warn)
    const controller = new AbortController()
    const { signal } = controller
    const first = await hold(locks, 'a')

    const served = Array.from({ length: 20 }, (_, at) =>
      locks.request(`${at}`, { signal }, () => at),
    )
    const waiting = Array.from({ length: 20 }, () => locks.request('a', { signal }, assert.fail))
    assert.equal((await Promise.all(served)).length, 20)
    assert.equal(getEventListeners(signal, 'abort').length, 1)
    controller.abort()

    const outcomes = await Promise.allSettled(waiting)
    assert.ok(outcomes.every(({ reason }) => reason === signal.reason))
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    first.open()
    await first.done
    await new Promise(setImmediate)
    process.off('warning', warn)
    assert.deepEqual(warnings, [])
  })

  test('closing a manager ends its requests: who waits and whose lock is released hears so', async () => {
    const locks = open()
    const isClosed = { code: 'ERR_LOCK_CLOSED' }
    const { clientId } = locks
    const first = await hold(locks, 'a')
    const waiting = locks.request('a', assert.fail)
    const ended = assert.rejects(first.done, isClosed)

    await Promise.all([assert.rejects(waiting, isClosed), locks.close({ release: true })])

    await ended
    await assert.rejects(locks.request('a', assert.fail), isClosed)
    await assert.rejects(locks.query(), isClosed)
    assert.equal(locks.clientId, clientId)
  })

  test('a callback that ends after its manager was closed is still told what it did', async () => {
    const locks = open()
    const first = await hold(locks, 'a')
    await locks.close()

    first.open('done')

    assert.equal(await first.done, 'done')
  })
})
