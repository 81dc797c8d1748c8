'use strict'

// Promises 8 and 12 of docs/promises.md: many threads on one core; a thread may end at any moment.

const assert = require('node:assert/strict')
const { test, before, after } = require('node:test')
const { runChild } = require('./support/child.js')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

/** Runs a program that must end well; what it said. */
async function run(t, program, data) {
  const { code, signal, said, errors } = await runChild(t, { url: redis.url, ...data }, program)
  assert.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' })
  return said
}

const keys = (pattern) => redis.command('KEYS', `lock:${pattern}`)

test('all four calls work in a worker thread, over promises and callbacks', async (t) => {
  const said = await run(t, async ({ thread, say, url }) => {
    const worker = thread({ url }, async ({ distLock, say, url }) => {
      const locks = distLock(url)
      const lock = await locks.acquire('four', 'a worker')
      const details = await locks.getAcquiredLock('four')
      say('promises', details.owner, await lock.extend(5000), await lock.release())
      locks.acquire('four', 'a worker', (error, lock) =>
        locks.getAcquiredLock('four', (error, { owner }) =>
          lock.extend(5000, (error, extended) =>
            lock.release((error, released) => say('callbacks', owner, extended, released)),
          ),
        ),
      )
    })
    say(...(await worker.heard('promises')))
    say(...(await worker.heard('callbacks')))
    await worker.ended
  })

  assert.deepEqual(said, [
    ['promises', 'a worker', true, true],
    ['callbacks', 'a worker', true, true],
  ])
})

test('threads exclude each other', async (t) => {
  const said = await run(t, async ({ thread, say, url }) => {
    const counter = new Int32Array(new SharedArrayBuffer(8))
    const workers = Array.from({ length: 4 }, () =>
      thread({ url, counter }, async ({ distLock, url, counter }) => {
        const locks = distLock(url, { retryDelay: 1 })
        for (let round = 0; round < 25; round++) {
          const lock = await locks.acquire('counter')
          // Reading and writing apart: who is alone in here loses no count.
          const count = counter[0]
          if (Atomics.add(counter, 1, 1) !== 0) counter[0] = -1000
          await locks.getAcquiredLock('a round trip')
          counter[0] = count + 1
          Atomics.sub(counter, 1, 1)
          await lock.release()
        }
      }),
    )
    await Promise.all(workers.map((worker) => worker.ended))
    say('counted', counter[0])
  })

  assert.deepEqual(said, [['counted', 100]])
})

test('a worker terminated while it waits for locks leaves none behind and stops nobody', async (t) => {
  const said = await run(t, async ({ distLock, thread, say, url }) => {
    const locks = distLock(url, { retryDelay: 10 })
    const held = await locks.acquire('waited')
    const worker = thread({ url }, ({ distLock, say, url }) => {
      const locks = distLock(url, { retryDelay: 10 })
      for (let at = 0; at < 100; at++) locks.acquire('waited')
      locks.getAcquiredLock('a round trip').then(() => say('waits'))
    })
    await worker.heard('waits')
    const mine = locks.acquire('waited', { timeout: 15000 })

    await worker.terminate()
    await held.release()

    say('mine', Boolean(await mine))
    await (await mine).release()
  })

  assert.deepEqual(said, [['mine', true]])
  await eventually(async () => (await keys('waited')).length === 0, 'free')
})

test('locks held by a terminated worker stay for their ttl, as those of a dead process', async (t) => {
  const said = await run(t, async ({ distLock, thread, say, url }) => {
    const locks = distLock(url)
    const worker = thread({ url }, async ({ distLock, say, url }) => {
      const locks = distLock(url)
      await Promise.all(Array.from({ length: 50 }, (_, at) => locks.acquire(`held${at}`)))
      say('holds')
    })
    await worker.heard('holds')

    await worker.terminate()

    say('taken', await locks.acquire('held7', { timeout: 1000 }))
  })

  assert.deepEqual(said, [['taken', false]])
  assert.equal((await keys('held*')).length, 50)
})

test('locks granted to a worker that ends before it takes them are released', async (t) => {
  await run(t, async ({ distLock, thread, until, url }) => {
    const locks = distLock(url)
    const worker = thread({ url }, async ({ distLock, say, url }) => {
      const locks = distLock(url)
      await locks.getAcquiredLock('before')
      for (let at = 0; at < 1000; at++) locks.acquire(`mailbox${at}`)
      process.nextTick(() => {
        say('asked')
        // Blocked, so that all 1000 completions wait for this thread.
        for (;;);
      })
    })
    await worker.heard('asked')
    await until(() => locks.getAcquiredLock('mailbox999'), 'granted')

    await worker.terminate()

    const none = async () => !(await locks.getAcquiredLock('mailbox999'))
    await until(none, 'released')
  })

  await eventually(async () => (await keys('mailbox*')).length === 0, 'all released')
})

test('a worker terminated while completions stream into it does not crash the process', async (t) => {
  await run(t, async ({ thread, url }) => {
    for (let round = 0; round < 10; round++) {
      const worker = thread({ url }, async ({ distLock, say, url }) => {
        const locks = distLock(url)
        say('started')
        for (;;) {
          const calls = Array.from({ length: 1000 }, (_, at) =>
            locks.acquire(`stream${at}`, { ttl: 1000, maxRetries: 0 }).then((lock) => {
              if (lock) return lock.release()
            }),
          )
          await Promise.all(calls)
        }
      })
      await worker.heard('started')
      await new Promise((resolve) => setTimeout(resolve, 5 * round))
      await worker.terminate()
    }
  })

  await eventually(async () => (await keys('stream*')).length === 0, 'released')
})

test('50 workers started and terminated at any moment do not crash the process', async (t) => {
  const said = await run(t, async ({ distLock, thread, say, url }) => {
    const locks = distLock(url, { retryDelay: 5 })
    const held = await locks.acquire('contended')
    const one = async (number) => {
      const worker = thread({ url, number }, ({ distLock, say, url, number }) => {
        const locks = distLock(url, { retryDelay: 5 })
        for (let at = 0; at < 20; at++) locks.acquire('contended').then((lock) => lock.release())
        // One that reaches a worker in its last moment is held by nobody, and ends with its ttl.
        const options = { ttl: 1000 }
        locks.acquire(`own${number}`, options, (error, lock) => lock.release())
        say('started')
        // Some end by themselves, in the tick of their calls.
        if (number % 5 === 0) process.exit()
      })
      if (number % 2 === 0) await worker.heard('started').catch(() => {})
      else await new Promise((resolve) => setTimeout(resolve, number))
      await worker.terminate()
    }
    for (let batch = 0; batch < 50; batch += 5) {
      await Promise.all([0, 1, 2, 3, 4].map((at) => one(batch + at)))
    }

    await held.release()
    const lock = await locks.acquire('contended', { timeout: 15000 })
    say('alive', Boolean(lock))
    await lock.release()
  })

  assert.deepEqual(said, [['alive', true]])
  await eventually(async () => (await keys('own*')).length === 0, 'own released')
})

test('a worker that ends in the tick of its calls sends none of them and leaves no connection', async (t) => {
  const connections = async () => {
    const list = await redis.command('CLIENT', 'LIST')
    return list
      .split('\n')
      .filter((line) => / db=9 .*name=dist-lock|name=dist-lock .*db=9 /.test(line))
  }
  const child = runChild(t, { url: `${redis.url}/9` }, async ({ thread, say, url }) => {
    const worker = thread({ url }, async ({ distLock, url }) => {
      const locks = distLock(url)
      await locks.getAcquiredLock('connected')
      locks.acquire('never sent')
      process.exit()
    })
    await worker.ended
    say('ended')
    // Alive, so that nothing but the end of the worker closes its connection.
    setTimeout(() => {}, 60000)
  })
  await child.heard('ended')

  await eventually(async () => (await connections()).length === 0, 'closed')
})

test('process.exit() with calls under way in several threads does not crash', async (t) => {
  const { code, signal, errors } = await runChild(t, { url: redis.url }, async (here) => {
    const { distLock, thread, url } = here
    const locks = distLock(url)
    const start = ({ distLock, say, url }) => {
      const locks = distLock(url)
      for (let at = 0; at < 500; at++) locks.acquire(`exit${at}`, { ttl: 2000 })
      say('started')
    }
    const workers = [1, 2, 3].map(() => thread({ url }, start))
    await Promise.all(workers.map((worker) => worker.heard('started')))
    for (let at = 0; at < 500; at++) locks.acquire(`exit${at}`, { ttl: 2000 })
    await locks.getAcquiredLock('a round trip')
    process.exit(7)
  })

  assert.deepEqual({ code, signal, errors }, { code: 7, signal: null, errors: '' })
})

test('a worker that ends by an exception leaves the lock it waited for to others', async (t) => {
  const said = await run(t, async ({ distLock, thread, say, url }) => {
    const locks = distLock(url, { retryDelay: 10 })
    const held = await locks.acquire('thrown')
    const worker = thread({ url }, async ({ distLock, url }) => {
      const locks = distLock(url, { retryDelay: 10 })
      locks.acquire('thrown')
      await locks.getAcquiredLock('a round trip')
      throw new Error('on purpose')
    })
    worker.on('error', (error) => say('error', error.message))
    await worker.ended

    await held.release()

    const lock = await locks.acquire('thrown', { timeout: 15000 })
    say('acquired', await lock.release())
  })

  assert.deepEqual(said, [
    ['error', 'on purpose'],
    ['acquired', true],
  ])
})
