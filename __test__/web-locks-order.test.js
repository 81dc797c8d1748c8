'use strict'

// The Web Locks API in one process: who has a lock when, alone, shared or stolen.

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { failure } = require('./support/outcome.js')
const { inEachStore, ownConnection, gate, hold, isAbort, isFree } = require('./support/web.js')

inEachStore(({ open }) => {
  test('one name is served in one order, whatever the mode', async () => {
    const locks = open()
    const first = await hold(locks, 'a', { mode: 'shared' })
    const told = []
    const modes = ['exclusive', 'shared', 'shared', 'exclusive', 'shared', 'exclusive']
    const all = modes.map((mode, at) =>
      locks.request('a', { mode }, async () => {
        told.push(`${at} begins`)
        await sleep(5)
        told.push(`${at} ends`)
      }),
    )
    assert.equal(await isFree(locks, 'a'), false)
    const share = { mode: 'shared', ifAvailable: true }
    assert.equal(await locks.request('a', share, (lock) => lock), null)

    first.open()
    await Promise.all(all)

    assert.deepEqual(told.slice(0, 2), ['0 begins', '0 ends'])
    assert.deepEqual(told.slice(2, 4), ['1 begins', '2 begins'])
    assert.deepEqual(told.slice(4, 6).sort(), ['1 ends', '2 ends'])
    assert.deepEqual(told.slice(6, 8), ['3 begins', '3 ends'])
    assert.deepEqual(told.slice(8), ['4 begins', '4 ends', '5 begins', '5 ends'])
  })

  test('the first requests of a program are served in their order, also over names', async () => {
    const locks = open(ownConnection())
    const granted = []
    const ask = (name, mode) => locks.request(name, { mode }, () => void granted.push(name + mode))

    await Promise.all([
      ...[ask('a', 'shared'), ask('a', 'shared'), ask('a', 'exclusive')],
      ...[ask('a', 'shared'), ask('b', 'exclusive'), ask('a', 'exclusive')],
    ])

    const ofA = granted.filter((name) => name.startsWith('a'))
    assert.deepEqual(ofA, ['ashared', 'ashared', 'aexclusive', 'ashared', 'aexclusive'])
    assert.deepEqual(granted.slice(0, 3), ['ashared', 'ashared', 'bexclusive'])
  })

  test('requests that come while their program connects pass none of before', async () => {
    for (let round = 0; round < 100; round++) {
      const locks = open(ownConnection())
      const granted = []
      const all = []
      const ask = (number) => all.push(locks.request('a', () => granted.push(number)))
      for (let tick = 0; tick < 10; tick++) {
        for (const one of [0, 1, 2]) ask(3 * tick + one)
        await (tick % 3 === 0 ? sleep(1) : new Promise(setImmediate))
      }
      await Promise.all(all)
      assert.deepEqual(granted, [...all.keys()])
      await locks.close()
    }
  })

  test('once a request has resolved the next are held, all that share it together', async () => {
    // The first of its process: nobody has waited for messages yet.
    const locks = open(ownConnection())
    const first = await hold(locks, 'a')
    const end = gate()
    const shared = Array.from({ length: 200 }, () =>
      locks.request('a', { mode: 'shared' }, () => end.promise),
    )
    const last = locks.request('a', () => 'last')
    const before = await locks.query()
    assert.deepEqual([before.held.length, before.pending.length], [1, 201])
    first.open()
    await first.done

    const { held, pending } = await locks.query()
    assert.deepEqual([held.length, pending.length], [200, 1])
    end.open()
    await Promise.all(shared)
    assert.equal(await last, 'last')
  })

  test('more who share a lock than one step serves are all served at once', async () => {
    const locks = open()
    const first = await hold(locks, 'a')
    const [all, end] = [gate(), gate()]
    let inside = 0
    const shared = Array.from({ length: 1000 }, () =>
      locks.request('a', { mode: 'shared' }, () => {
        if (++inside === 1000) all.open()
        return end.promise
      }),
    )
    await locks.query()

    first.open()
    const served = await Promise.race([
      all.promise.then(() => true),
      sleep(8000, false, { ref: false }),
    ])

    assert.ok(served, `only ${inside} of them were`)
    end.open()
    await Promise.all(shared)
  })

  test('a request within a request for the same name waits for itself, unless both share it', async () => {
    const locks = open()
    const nested = (mode) =>
      locks.request('a', { mode }, () =>
        locks.request('a', { mode, timeout: 1000 }, () => 'inside'),
      )

    assert.equal(await nested('shared'), 'inside')
    await assert.rejects(nested('exclusive'), (error) => {
      assert.ok(error instanceof DOMException)
      return error.name === 'TimeoutError'
    })
    assert.equal(await isFree(locks, 'a'), true)
  })

  test('steal goes before all who wait and keeps them; all holders fail at once', async () => {
    const locks = open()
    const victims = await Promise.all([1, 2].map(() => hold(locks, 'a', { mode: 'shared' })))
    const told = []
    const waiting = ['exclusive', 'shared'].map((mode) =>
      locks.request('a', { mode }, () => void told.push(mode)),
    )
    const thief = await hold(locks, 'a', { steal: true })
    for (const { lock, done } of victims) {
      isAbort(await failure(done, 0))
      assert.equal(lock.signal.aborted, true)
      assert.equal(lock.remaining, 0)
    }

    const other = hold(locks, 'a', { steal: true })
    isAbort(await failure(thief.done, 0))
    assert.deepEqual(told, [])
    ;(await other).open()
    await Promise.all(waiting)
    assert.deepEqual(told, ['exclusive', 'shared'])
  })

  test('a lock that is stolen in the tick in which it is requested fails, even if the callback is done', async () => {
    const locks = open()
    for (let round = 0; round < 20; round++) {
      const victim = locks.request('a', () => 'done')
      const steal = locks.request('a', { steal: true }, () => 'stolen')

      await assert.rejects(victim, isAbort)
      assert.equal(await steal, 'stolen')
    }
  })
})
