'use strict'

// The Web Locks API, as the specification of the W3C has it, in one process: what a request is given,
// and what `query` tells.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const distLock = require('..')
const { inEachStore, ownConnection, gate, hold, isAbort, isFree } = require('./support/web.js')

inEachStore(({ open, source }) => {
  test('a request resolves with what the callback does, and rejects with what it throws', async () => {
    const locks = open()
    // oxlint-disable-next-line no-thenable
    const thenable = { then: (resolve) => resolve('thenable') }
    const fails = async (callback, expected) => {
      const outcome = await locks.request('a', callback).then(assert.fail, (error) => [error])
      assert.deepEqual(outcome, [expected])
    }

    assert.equal(await locks.request('a', () => 'value'), 'value')
    assert.equal(await locks.request('a', async () => 'promise'), 'promise')
    assert.equal(await locks.request('a', () => thenable), 'thenable')
    await fails(() => {
      throw 'thrown'
    }, 'thrown')
    await fails(() => Promise.reject(), undefined)
    assert.equal(await isFree(locks, 'a'), true)
  })

  test('the callback is called later, with nothing but a lock that cannot be made or changed', async () => {
    const locks = open()
    let seen
    const request = locks.request('a', (...args) => (seen = args))

    assert.equal(seen, undefined)
    await request
    const [lock, ...others] = seen
    assert.deepEqual(others, [])
    assert.deepEqual([lock.name, lock.mode, String(lock)], ['a', 'exclusive', '[object Lock]'])
    assert.throws(() => (lock.name = 'b'), TypeError)
    assert.throws(() => (lock.mode = 'shared'), TypeError)
    assert.throws(() => new lock.constructor(), TypeError)
  })

  test('a lock has a token that grows, time that is left, and a signal; and none of it once it is over', async () => {
    const locks = open({ ttl: 5000 })
    const first = await locks.request('a', (lock) => lock)
    await locks.request('a', async (lock) => {
      assert.ok(lock.fencingToken > first.fencingToken)
      assert.ok(lock.remaining > 1000 && lock.remaining <= 5000)
      assert.equal(await lock.extend(60000), true)
      assert.ok(lock.remaining > 50000)
      assert.equal(lock.signal.aborted, false)
    })

    assert.equal(first.remaining, 0)
    assert.equal(await first.extend(1000), false)
    assert.equal(first.signal.aborted, false)
  })

  test('names are any strings that do not begin with a hyphen', async () => {
    const locks = open()
    const surrogates = ['\ud800', '\udc00', '\udc00\ud800', '\ud83d\ude00', '\ufffd']
    const escapes = ['\u{10fffd}', '\u{10fffd}\u{10fffd}', '\u{10fffd}d800', '\u{10fffd}\udbff']
    const names = ['', '\0', 'a\0b', 'x-', '\uffff', '{', '*', ...surrogates, ...escapes]

    const held = await Promise.all(names.map((name) => hold(locks, name)))

    assert.deepEqual(
      held.map(({ lock }) => lock.name),
      names,
    )
    const snapshot = await locks.query()
    assert.deepEqual(snapshot.held.map(({ name }) => name).sort(), [...names].sort())
    held.forEach(({ open }) => open())
    await Promise.all(held.map(({ done }) => done))
    for (const name of ['-', '-a']) {
      await assert.rejects(locks.request(name, assert.fail), { name: 'NotSupportedError' })
    }
  })

  test('arguments are converted as on the web, and options that exclude each other are refused', async () => {
    const locks = open()
    const { signal } = new AbortController()
    const isTypeError = { name: 'TypeError' }
    const isNotSupported = (error) => error instanceof DOMException && error.code === 9
    const ask = (...args) => locks.request(...args)

    assert.equal(await ask(42, null, ({ name }) => name), '42')
    assert.equal(await ask('a', { ifAvailable: 1, mode: new String('shared') }, () => 1), 1)
    for (const wrong of [[], ['a'], ['a', {}], ['a', {}, {}], [Symbol('a'), () => {}]]) {
      await assert.rejects(ask(...wrong), isTypeError)
    }
    const options = [
      { mode: null },
      { mode: 'read' },
      { signal: null },
      { signal: {} },
      { ttl: 0.5 },
    ]
    for (const wrong of [...options, { owner: 1 }, { retries: 1 }, 'shared']) {
      await assert.rejects(ask('a', wrong, assert.fail), { name: /^(Type|Range)Error$/ })
    }
    for (const wrong of [
      { steal: true, ifAvailable: true },
      { steal: true, mode: 'shared' },
      { steal: true, signal },
      { ifAvailable: true, signal },
    ]) {
      await assert.rejects(ask('a', wrong, assert.fail), isNotSupported)
    }
  })

  test('query tells what was requested before in the same tick, in order', async () => {
    // Nothing is connected yet.
    const locks = open(ownConnection())
    const end = gate()
    const ask = (name, options) => locks.request(name, options, () => end.promise)

    const all = [
      ...[ask('c', { mode: 'shared', owner: 'me' }), ask('a', {}), ask('a', { ifAvailable: true })],
      ...[ask('a', { mode: 'shared' }), ask('b', { steal: true }), ask('a', {})],
    ]
    const { held, pending } = await locks.query()

    const { clientId } = locks
    assert.deepEqual(
      held.map(({ name, mode, owner }) => [name, mode, owner]),
      [
        ['c', 'shared', 'me'],
        ['a', 'exclusive', ''],
        ['b', 'exclusive', ''],
      ],
    )
    assert.deepEqual(
      pending.map(({ name, mode, position }) => [name, mode, position]),
      [
        ['a', 'shared', 1],
        ['a', 'exclusive', 2],
      ],
    )
    assert.ok([...held, ...pending].every((one) => one.clientId === clientId))
    end.open()
    await Promise.all(all)
    assert.deepEqual(await locks.query(), { held: [], pending: [] })
  })

  test('query tells a request of another manager by its clientId, and no victim as one who waits', async () => {
    const options = { keyPrefix: 'told:' }
    const at = source()
    const [one, other] = [distLock(at, options), distLock(at, options)]
    const victim = await hold(one, 'a')
    const stealing = other.request('a', { steal: true }, () => one.query())

    const { held, pending } = await stealing
    await assert.rejects(victim.done, isAbort)

    assert.deepEqual(
      held.map(({ clientId }) => clientId),
      [other.clientId],
    )
    assert.notEqual(one.clientId, other.clientId)
    assert.deepEqual(pending, [])
  })

  test('query goes through more names than one step does', async () => {
    const locks = open()
    const end = gate()
    const names = Array.from({ length: 1200 }, (_, at) => `${at}`)
    const all = names.map((name) => locks.request(name, { mode: 'shared' }, () => end.promise))
    await Promise.all(names.map((name) => locks.request(name, { ifAvailable: true }, () => {})))

    const { held, pending } = await locks.query()

    assert.deepEqual([new Set(held.map(({ name }) => name)).size, held.length], [1200, 1200])
    assert.deepEqual(pending, [])
    end.open()
    await Promise.all(all)
  })

  test('a request is called back in the context in which it was made', async () => {
    const locks = open()
    const context = new AsyncLocalStorage()
    const seen = []
    const first = await hold(locks, 'a')
    const { signal } = new AbortController()
    const all = ['one', 'two', 'three'].map((which) =>
      context.run(which, async () => {
        await locks.request('a', which === 'two' ? { signal } : {}, () =>
          seen.push(context.getStore()),
        )
        seen.push(context.getStore())
      }),
    )

    first.open()
    await Promise.all(all)

    assert.deepEqual(seen.sort(), ['one', 'one', 'three', 'three', 'two', 'two'])
  })

  test('a lock is renewed for as long as the callback runs, however busy the program is', async () => {
    const locks = open({ ttl: 1200 })
    const result = locks.request('a', async (lock) => {
      const end = performance.now() + 2000
      while (performance.now() < end);
      await sleep(400)
      return lock.signal.aborted
    })

    assert.equal(await result, false)
  })
})
