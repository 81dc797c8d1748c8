'use strict'

// What version 2 checked, and what it said.

const assert = require('node:assert/strict')
const { inspect } = require('node:util')
const { ask, bothVersions, seen, tell } = require('./support/both.js')

const { each, same, differs } = bothVersions()
// What is refused never reaches a client.
const ONE = { kinds: ['redis-3.1'] }

const NAME = 'Error: resourceName is required and must be a string'
const ID = 'Error: id is required and must be a string'
const MILLISECONDS = 'Error: milliseconds is required and must be a number'
const OWNER = 'Error: owner must be a string'

/** A call that told its callback of an error before it returned, and returned what that returned. */
const refused = (text) => ({
  calls: [{ args: [text], sync: true, this: undefined }],
  returned: 'what the callback returned',
})

const objects = [null, {}, [], ['a'], new String('a'), new Date(0), /a/, () => {}]
const noNames = [undefined, '', 0, 7, NaN, true, false, 10n, Symbol('a'), ...objects]

for (const name of noNames) {
  const shown = inspect(name)

  each(
    `the name ${shown} is refused by every method`,
    async ({ locks }) => {
      const calls = [
        await seen((callback) => locks.getAcquiredLock(name, callback)),
        await seen((callback) => locks.releaseLock(name, 'id', callback)),
        await seen((callback) => locks.extendLock(name, 'id', 1000, callback)),
      ]
      // Version 3 takes the locks of all names in a list.
      if (!Array.isArray(name) || name.length === 0) {
        calls.push(await seen((callback) => locks.acquire(name, 'owner', callback)))
      }

      assert.deepEqual(calls, Array(calls.length).fill(refused(NAME)))
    },
    ONE,
  )

  each(
    `the id ${shown} is refused`,
    async ({ locks }) => {
      const calls = [
        await seen((callback) => locks.releaseLock('a', name, callback)),
        await seen((callback) => locks.extendLock('a', name, 1000, callback)),
      ]

      assert.deepEqual(calls, Array(2).fill(refused(ID)))
    },
    ONE,
  )
}

differs(
  'acquire(name, callback) tells the callback of a bad name',
  async ({ locks }) => {
    for (const name of ['', 7, undefined, new String('a')]) {
      assert.deepEqual(await seen((callback) => locks.acquire(name, callback)), refused(NAME))
    }
  },
  ONE,
)

for (const owner of [undefined, null, 0, 7, NaN, true, false, 10n, Symbol('o'), [], ['o']]) {
  each(
    `the owner ${inspect(owner)} is refused`,
    async ({ locks }) => {
      const call = await seen((callback) => locks.acquire('a', owner, callback))

      assert.deepEqual(call, refused(OWNER))
    },
    ONE,
  )
}

for (const owner of [new String('o'), new Date(0), /o/, new Map(), new Error('o')]) {
  each(
    `the owner ${inspect(owner, { breakLength: Infinity }).split('\n')[0]} is refused`,
    async ({ locks }) => {
      const call = await seen((callback) => locks.acquire('a', owner, callback))

      assert.deepEqual(call, refused(OWNER))
    },
    ONE,
  )
}

differs(
  'a plain object in place of the owner is the options of the call',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a', { owner: 'me', ttl: 90000 })

    assert.equal(lock.owner, 'me')
    assert.ok((await redis.command('PTTL', 'lock:a')) > 60000)
    assert.equal((await ask(locks.acquire, 'b', {})).owner, '')
    assert.equal((await ask(locks.acquire, 'c', Object.create(null))).owner, '')
  },
  ONE,
)

for (const milliseconds of [
  undefined,
  null,
  0,
  -0,
  NaN,
  '100',
  '',
  true,
  [],
  {},
  10n,
  Symbol('m'),
]) {
  each(
    `extending by ${inspect(milliseconds)} is refused`,
    async ({ locks }) => {
      const lock = await ask(locks.acquire, 'a')

      const onManager = await seen((callback) =>
        locks.extendLock('a', lock.id, milliseconds, callback),
      )
      const onLock = await seen((callback) => lock.extend(milliseconds, callback))

      assert.deepEqual(onManager, refused(MILLISECONDS))
      assert.deepEqual(onLock, { ...refused(MILLISECONDS), returned: undefined })
    },
    ONE,
  )
}

each(
  'the name is looked at before the id, and the id before the milliseconds',
  async ({ locks }) => {
    const calls = [
      await seen((callback) => locks.extendLock('', '', 0, callback)),
      await seen((callback) => locks.releaseLock('', '', callback)),
      await seen((callback) => locks.acquire('', 7, callback)),
      await seen((callback) => locks.extendLock('a', '', 0, callback)),
      await seen((callback) => locks.extendLock('a', 'id', 0, callback)),
    ]

    assert.deepEqual(calls, [NAME, NAME, NAME, ID, MILLISECONDS].map(refused))
  },
  ONE,
)

each(
  'nothing that is refused reaches Redis',
  async ({ locks, client, kind, redis }) => {
    await ask(locks.getAcquiredLock, 'a')
    await kind.command(client, 'ping')
    const monitor = await redis.monitor()

    locks.acquire('', 'owner', () => {})
    locks.acquire('a', 7, () => {})
    locks.getAcquiredLock('', () => {})
    locks.releaseLock('a', '', () => {})
    locks.extendLock('a', 'id', 0, () => {})
    await ask(locks.getAcquiredLock, 'the end')

    const lines = await monitor.lines()
    const asked = lines.filter((line) => line.includes('lock:') && !line.includes(' lua]'))
    assert.equal(asked.length, 1)
    monitor.stop()
  },
  ONE,
)

each(
  'what a callback throws when it is told of a bad argument reaches the caller',
  async ({ locks }) => {
    const thrown = new Error('thrown')
    const callback = () => {
      throw thrown
    }
    const lock = await ask(locks.acquire, 'a')

    for (const call of [
      () => locks.acquire('', 'owner', callback),
      () => locks.acquire('a', 7, callback),
      () => locks.getAcquiredLock('', callback),
      () => locks.releaseLock('a', '', callback),
      () => locks.extendLock('a', 'id', 0, callback),
      () => lock.extend(0, callback),
    ]) {
      assert.throws(call, (error) => error === thrown)
    }
  },
  ONE,
)

each(
  'acquire(name, callback, other) calls the first with the owner ""',
  async ({ locks }) => {
    let other = 0

    const call = await seen((callback) => locks.acquire('a', callback, () => other++))

    assert.equal(call.calls[0].args[1].aLock.find(([name]) => name === 'owner')[1], '')
    assert.equal(other, 0)
  },
  ONE,
)

same(
  'a callback that is no function is a TypeError where a bad argument comes with it',
  async ({ locks }) => {
    const lock = await ask(locks.acquire, 'a')
    const threw = []
    for (const callback of [null, 5, 'callback', {}, true]) {
      for (const call of [
        () => locks.acquire('', 'owner', callback),
        () => locks.acquire('a', 'owner', callback),
        () => locks.getAcquiredLock('', callback),
        () => locks.releaseLock('a', '', callback),
        () => locks.extendLock('a', 'id', 0, callback),
        () => lock.extend(0, callback),
      ]) {
        threw.push(thrownBy(call))
      }
    }

    return threw
  },
  ONE,
)

differs(
  'a callback that is no function is a TypeError at once',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')
    for (const callback of [null, 5, 'callback', {}, true]) {
      for (const call of [
        () => locks.acquire('b', 'owner', callback),
        () => locks.getAcquiredLock('b', callback),
        () => locks.releaseLock('a', lock.id, callback),
        () => locks.extendLock('a', lock.id, 1000, callback),
        () => lock.release(callback),
        () => lock.extend(1000, callback),
      ]) {
        assert.equal(thrownBy(call), 'TypeError: callback is not a function')
      }
    }

    await ask(locks.getAcquiredLock, 'a')
    assert.deepEqual(await redis.lockKeys(), ['lock:a'])
  },
  ONE,
)

each(
  'lock.extend(callback) is a TypeError',
  async ({ locks }) => {
    const lock = await ask(locks.acquire, 'a')
    const callback = () => assert.fail('called')

    assert.equal(
      thrownBy(() => lock.extend(callback)),
      'TypeError: callback is not a function',
    )
    assert.equal(
      thrownBy(() => locks.extendLock('a', lock.id, callback)),
      'TypeError: callback is not a function',
    )
  },
  ONE,
)

each(
  'without a client there is no manager',
  async ({ distLock }) => {
    for (const nothing of [undefined, null, 7, true, {}, []]) {
      assert.throws(() => distLock(nothing), TypeError)
    }
    assert.throws(() => distLock(), TypeError)
  },
  ONE,
)

function thrownBy(call) {
  try {
    call()
  } catch (error) {
    return tell(error)
  }
}
