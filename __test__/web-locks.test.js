'use strict'

// The Web Locks API, as the specification of the W3C has it, in one process.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { getEventListeners } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, before, describe, test } = require('node:test')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

let number = 0
/** Each with names of its own. */
const STORES = {
  Redis: (options) => distLock(redis.url, { keyPrefix: `${++number}:`, ...options }),
  memory: (options) => distLock(`memory:web-${++number}`, options),
}

/** A promise, and what settles it. */
function gate() {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { open: resolve, reject }))
  return parts
}

/** Requests a lock and resolves once it is held, until `open` is called; `done` is the request. */
async function hold(locks, name, options = {}) {
  const held = gate()
  const end = gate()
  const done = locks.request(name, options, (lock) => {
    held.open(lock)
    return end.promise
  })
  done.catch(held.reject)
  const lock = await held.promise
  return { lock, open: end.open, reject: end.reject, done }
}

const isAbort = (error) => {
  assert.ok(error instanceof DOMException)
  assert.equal(error.name, 'AbortError')
  assert.equal(error.code, 20)
  assert.equal(error.cause.code, 'ERR_LOCK_LOST')
  return true
}

const isFree = (locks, name) => locks.request(name, { ifAvailable: true }, (lock) => lock !== null)

for (const [store, open] of Object.entries(STORES)) {
  describe(`in ${store}`, () => {
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
      // Settings of its own make a connection of its own.
      const locks = open({ connectTimeout: 9000 + ++number })
      const granted = []
      const ask = (name, mode) =>
        locks.request(name, { mode }, () => void granted.push(name + mode))

      await Promise.all([
        ...[ask('a', 'shared'), ask('a', 'shared'), ask('a', 'exclusive')],
        ...[ask('a', 'shared'), ask('b', 'exclusive'), ask('a', 'exclusive')],
      ])

      const ofA = granted.filter((name) => name.startsWith('a'))
      assert.deepEqual(ofA, ['ashared', 'ashared', 'aexclusive', 'ashared', 'aexclusive'])
      assert.deepEqual(granted.slice(0, 3), ['ashared', 'ashared', 'bexclusive'])
    })

    test('once a request has resolved the next are held, all that share it together', async () => {
      const locks = open()
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
      const served = await Promise.race([all.promise.then(() => true), sleep(8000)])

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
        await assert.rejects(done, isAbort)
        assert.equal(lock.signal.aborted, true)
        assert.equal(lock.remaining, 0)
      }

      const other = hold(locks, 'a', { steal: true })
      await assert.rejects(thief.done, isAbort)
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
      await assert.rejects(
        locks.request('a', { signal }, assert.fail),
        (error) => error === 'reason',
      )
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
      // Settings of its own: nothing is connected yet.
      const locks = open({ connectTimeout: 9000 + ++number })
      const end = gate()
      const ask = (name, options) => locks.request(name, options, () => end.promise)

      const all = [
        ...[
          ask('c', { mode: 'shared', owner: 'me' }),
          ask('a', {}),
          ask('a', { ifAvailable: true }),
        ],
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
      const source = store === 'Redis' ? redis.url : 'memory:told'
      const [one, other] = [distLock(source, options), distLock(source, options)]
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
}
