'use strict'

// How version 2 took numbers.

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { inspect } = require('node:util')
const { ask, bothVersions, seen } = require('./support/both.js')

const { each, same, differs } = bothVersions({
  users: { classic: 'on >secret ~lock:* &* +@all' },
})
// Numbers are no matter of the client.
const ONE = { kinds: ['redis-3.1'] }
/** Without side keys there is no queue, and each try is a command, as in version 2. */
const CLASSIC = { ...ONE, settings: { username: 'classic', password: 'secret' } }

/** How often a server is asked for the key while `run` runs. */
async function tries(redis, key, run) {
  const monitor = await redis.monitor()
  try {
    await run()
    const lines = await monitor.lines()
    return lines.filter((line) => / "eval(sha)?" /i.test(line) && line.includes(`"${key}"`)).length
  } finally {
    monitor.stop()
  }
}

const TRIES = [
  [0, 1],
  [1, 2],
  [3, 4],
  [2.7, 3],
  ['2', 3],
  [true, 2],
  ...[null, NaN, -2, 0.5, false, -Infinity, '', '-1', 'abc', {}].map((value) => [value, 1]),
]

for (const [maxRetries, expected] of TRIES) {
  each(
    `without a queue maxRetries ${inspect(maxRetries)} is ${expected} ${expected === 1 ? 'try' : 'tries'}`,
    async ({ locks, distLock, client, redis }) => {
      await ask(locks.acquire, 'a')
      const impatient = distLock(client, { maxRetries, retryDelay: 5 })

      const asked = await tries(redis, 'lock:a', async () => {
        assert.equal(await ask(impatient.acquire, 'a'), false)
      })

      assert.equal(asked, expected)
    },
    CLASSIC,
  )

  each(
    `maxRetries ${inspect(maxRetries)} ends with the time of ${expected} ${expected === 1 ? 'try' : 'tries'}`,
    async ({ locks, distLock, client }) => {
      await ask(locks.acquire, 'a')
      // Whoever waits for one that is not to be made waits for long.
      const retryDelay = expected === 1 ? 20000 : 40
      const impatient = distLock(client, { maxRetries, retryDelay })

      const started = performance.now()
      assert.equal(await ask(impatient.acquire, 'a'), false)
      const took = performance.now() - started

      // Timers may be some milliseconds early.
      if (expected > 1) assert.ok(took > (expected - 1) * 36, `${took} ms`)
      assert.ok(took < 10000, `${took} ms`)
    },
    ONE,
  )
}

each(
  'without a queue maxRetries is as many tries each time, however short the delay',
  async ({ locks, distLock, client, redis }) => {
    await ask(locks.acquire, 'a')
    const impatient = distLock(client, { maxRetries: 3, retryDelay: 1 })

    const asked = await tries(redis, 'lock:a', async () => {
      for (let call = 0; call < 150; call++) {
        assert.equal(await ask(impatient.acquire, 'a'), false)
      }
    })

    assert.equal(asked, 150 * 4)
  },
  CLASSIC,
)

for (const maxRetries of [-1, Infinity, undefined]) {
  each(
    `maxRetries ${maxRetries} never ends`,
    async ({ locks, distLock, client }) => {
      const lock = await ask(locks.acquire, 'a')
      const patient = distLock(client, { maxRetries, retryDelay: 1 })

      const waiting = ask(patient.acquire, 'a')
      const first = await Promise.race([waiting, sleep(200, 'still waiting')])
      await ask(lock.release)

      assert.equal(first, 'still waiting')
      assert.equal((await waiting).key, 'lock:a')
    },
    ONE,
  )
}

for (const retryDelay of [0, null, NaN, -5, '5', 'abc', 0.5, undefined]) {
  each(
    `without a queue retryDelay ${inspect(retryDelay)} is taken`,
    async ({ locks, distLock, client, redis }) => {
      await ask(locks.acquire, 'a')
      const impatient = distLock(client, { maxRetries: 3, retryDelay })

      const asked = await tries(redis, 'lock:a', async () => {
        assert.equal(await ask(impatient.acquire, 'a'), false)
      })

      assert.equal(asked, 4)
    },
    CLASSIC,
  )

  each(
    `retryDelay ${inspect(retryDelay)} is a short one`,
    async ({ locks, distLock, client }) => {
      await ask(locks.acquire, 'a')
      const impatient = distLock(client, { maxRetries: 3, retryDelay })

      const started = performance.now()
      assert.equal(await ask(impatient.acquire, 'a'), false)

      const took = performance.now() - started
      assert.ok(took < 10000, `${took} ms`)
    },
    ONE,
  )
}

for (const retryDelay of [60, '60']) {
  for (const [where, options] of [
    ['', ONE],
    ['without a queue ', CLASSIC],
  ]) {
    each(
      `${where}between two tries are at least ${inspect(retryDelay)} ms`,
      async ({ locks, distLock, client }) => {
        await ask(locks.acquire, 'a')
        const impatient = distLock(client, { maxRetries: 3, retryDelay })

        const started = performance.now()
        await ask(impatient.acquire, 'a')

        // Timers may be some milliseconds early.
        assert.ok(performance.now() - started > 3 * 55)
      },
      options,
    )
  }
}

for (const ttl of ['4000', 4000]) {
  each(
    `ttl ${inspect(ttl)} is 4000 ms`,
    async ({ distLock, client, redis }) => {
      await ask(distLock(client, { ttl }).acquire, 'a')

      const pttl = await redis.command('PTTL', 'lock:a')
      assert.ok(pttl <= 4000 && pttl > 0, `pttl ${pttl}`)
    },
    ONE,
  )
}

const NO_TTL = [0, -1, -0.5, 1.5, Infinity, '0', '-5', '1.5', 2 ** 53]
const NO_NUMBER = [NaN, null, 'abc', '', {}, [], true, '4x']

for (const [type, values] of [
  ['RangeError', NO_TTL],
  ['TypeError', NO_NUMBER],
]) {
  for (const ttl of values) {
    differs(
      `ttl ${inspect(ttl)} is a ${type}, and nothing is written`,
      async ({ distLock, client, redis }) => {
        const locks = distLock(client, { ttl })

        const call = await seen((callback) => locks.acquire('a', callback))
        await assert.rejects(locks.acquire('a'), { name: type })

        assert.match(call.calls[0].args[0], /^(Range|Type)Error: Expected `ttl` to be /)
        assert.equal(call.calls[0].args.length, 1)
        assert.equal(await ask(locks.getAcquiredLock, 'a'), null)
        assert.deepEqual(await redis.lockKeys(), [])
      },
      ONE,
    )
  }
}

same(
  'extend(-1) deletes the lock and answers true',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')

    const call = await seen((callback) => lock.extend(-1, callback))

    assert.equal(call.calls[0].args[1], true)
    return [call, await redis.command('EXISTS', 'lock:a')]
  },
  ONE,
)

const EXTENSIONS = [1.5, -0.5, 0.1, 1e-7, -1, -1e15, Infinity, -Infinity, 1e15, 1e21, 2 ** 53]

for (const milliseconds of [...EXTENSIONS, 9.2e18, 1e19, 1e300]) {
  same(
    `extending by ${milliseconds} does what it did`,
    async ({ locks, redis }) => {
      const lock = await ask(locks.acquire, 'a')

      const call = await seen((callback) => lock.extend(milliseconds, callback))

      const pttl = await redis.command('PTTL', 'lock:a')
      return [call, pttl > 0 ? Math.round(pttl / 30000) : pttl]
    },
    ONE,
  )
}

each(
  'extending by a fraction is an error of Redis, and the lock stays as it was',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')

    const call = await seen((callback) => lock.extend(1.5, callback))

    assert.deepEqual(call.calls[0].args, ['refused by Redis: value is not an integer'])
    assert.ok((await redis.command('PTTL', 'lock:a')) > 10000)
    assert.equal(await ask(lock.release), true)
  },
  ONE,
)

each(
  'extending sets the time that is left, and does not add to it',
  async ({ locks, redis }) => {
    const lock = await ask(locks.acquire, 'a')

    await ask(lock.extend, 5000)
    const shorter = await redis.command('PTTL', 'lock:a')
    await ask(lock.extend, 90000)
    const longer = await redis.command('PTTL', 'lock:a')

    assert.ok(shorter <= 5000, `${shorter}`)
    assert.ok(longer > 60000 && longer <= 90000, `${longer}`)
  },
  ONE,
)
