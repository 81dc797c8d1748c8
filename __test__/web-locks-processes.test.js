'use strict'

// The Web Locks API over processes, threads and the nodes of a Cluster.

const assert = require('node:assert/strict')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { runChild } = require('./support/child.js')
const { startCluster } = require('./support/cluster.js')
const { eventually, failure } = require('./support/outcome.js')
const { runProgram, startProgram } = require('./support/program.js')
const { startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))
beforeEach(() => redis.command('FLUSHALL'))

/** Would be renewed, and so known to be lost, only after the longest time that a child may take. */
const LONG = 240_000

/** A process that requests a lock, says when it holds it, and lets go of it when it is told to. */
function requester(t, options, source = redis.url) {
  const data = { source, options: { ttl: LONG, ...options } }
  return runChild(t, data, async ({ distLock, say, told, source, options }) => {
    const { ttl, ...request } = options
    const locks = distLock(source, { ttl })
    const requested = locks.request('a', request, () => {
      say('holds')
      return told('let go')
    })
    say('asked', locks.clientId)
    await requested.then(
      () => say('released'),
      (error) => say('failed', error.name, error instanceof DOMException, error.cause?.code),
    )
  })
}

const waiters = async (locks) => (await locks.query()).pending.length

test('requests of several processes are served in one order, whatever their mode', async (t) => {
  const locks = distLock(redis.url)
  const holder = requester(t, { mode: 'shared' })
  await holder.heard('holds')
  const others = []
  for (const mode of ['exclusive', 'shared', 'shared', 'exclusive']) {
    others.push(requester(t, { mode }))
    await eventually(async () => (await waiters(locks)) === others.length, `${mode} waits`)
  }
  const ids = await Promise.all(others.map(async (other) => (await other.heard('asked'))[1]))
  const { held, pending } = await locks.query()
  assert.deepEqual(
    pending.map(({ clientId }) => clientId),
    ids,
  )
  assert.deepEqual(
    held.map(({ clientId, mode }) => [clientId, mode]),
    [[(await holder.heard('asked'))[1], 'shared']],
  )
  const share = { mode: 'shared', ifAvailable: true }
  assert.equal(await locks.request('a', share, (lock) => lock), null)

  const [first, second, third, last] = others
  const hold = async (...expected) => {
    const now = await locks.query()
    assert.deepEqual(now.held.map(({ clientId }) => clientId).sort(), expected.sort())
  }
  for (const [letsGo, next, holders] of [
    [[holder], [first], [ids[0]]],
    [[first], [second, third], [ids[1], ids[2]]],
    [[second, third], [last], [ids[3]]],
  ]) {
    for (const one of letsGo) one.tell('let go')
    await Promise.all(next.map((one) => one.heard('holds')))
    await hold(...holders)
  }
  last.tell('let go')
  await last.heard('released')
})

test('whatever several processes request and abort, who is alone is alone, and all are served', async (t) => {
  const children = [1, 2, 3].map(() =>
    runChild(t, { source: redis.url }, async ({ distLock, say, source }) => {
      const now = () => Number(process.hrtime.bigint() / 1000n)
      const locks = distLock(source)
      const held = []
      let aborted = 0
      const hold = async ({ name, mode }) => {
        const from = now()
        for (let turns = Math.random() * 5; turns > 0; turns--) await new Promise(setImmediate)
        held.push({ name, mode, from, to: now() })
      }
      const one = async () => {
        const mode = Math.random() < 0.3 ? 'exclusive' : 'shared'
        const name = Math.random() < 0.9 ? 'a' : 'b'
        if (Math.random() < 0.2) {
          return locks.request(name, { mode, ifAvailable: true }, (lock) => lock && hold(lock))
        }
        const controller = new AbortController()
        if (Math.random() < 0.2) setTimeout(() => controller.abort('enough'), Math.random() * 30)
        await locks
          .request(name, { mode, signal: controller.signal }, hold)
          .catch((reason) => (aborted += reason === 'enough' ? 1 : Number.NaN))
      }
      const several = async (count) => {
        for (; count > 0; count--) await one()
      }
      await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => several(25)))
      say('held', held, aborted)
    }),
  )

  const held = []
  for (const child of children) {
    const { said, errors } = await child
    assert.equal(said.length, 1, errors)
    held.push(...said[0][1])
    assert.ok(said[0][2] < 100, `only aborts, and not all of them: ${said[0][2]}`)
  }

  assert.ok(held.length > 200)
  for (const one of held.filter(({ mode }) => mode === 'exclusive')) {
    const others = held.filter((other) => other !== one && other.name === one.name)
    const meanwhile = others.filter(({ from, to }) => from < one.to && one.from < to)
    assert.deepEqual(meanwhile, [], `beside ${JSON.stringify(one)}`)
  }
  const locks = distLock(redis.url)
  await eventually(async () => {
    const { held, pending } = await locks.query()
    return held.length + pending.length === 0
  }, 'nothing is left behind')
})

test('who steals makes the requests of other processes fail long before they would renew', async (t) => {
  const victims = [requester(t, { mode: 'shared' }), requester(t, { mode: 'shared' })]
  await Promise.all(victims.map((victim) => victim.heard('holds')))
  const waiting = requester(t, {})
  const locks = distLock(redis.url)
  await eventually(async () => (await waiters(locks)) === 1, 'one waits')

  const inTime = await locks.request('a', { steal: true }, () =>
    Promise.all(victims.map((victim) => victim.heard('failed'))),
  )

  for (const failed of inTime) {
    assert.deepEqual(failed, ['failed', 'AbortError', true, 'ERR_LOCK_LOST'])
  }
  await waiting.heard('holds')
  waiting.tell('let go')
  await waiting.heard('released')
})

test('a lock that is stolen as soon as it is held is known to be', async (t) => {
  // Messages do not reach the victim yet.
  const data = { source: redis.url, ttl: LONG }
  const victim = runChild(t, data, async ({ distLock, say, told, source, ttl }) => {
    // Settings of its own make a connection of its own.
    const locks = distLock(source, { ttl })
    const other = distLock(source, { commandTimeout: 4999 })
    await other.query()
    const request = locks.request('a', async () => {
      await other.request('a', { steal: true }, () => {})
      await told('end')
    })
    await request.catch((error) => say('failed', error.name))
  })

  assert.deepEqual(await victim.heard('failed'), ['failed', 'AbortError'])
})

test('a process that is killed takes only its own share with it, when its ttl is over', async (t) => {
  const locks = distLock(redis.url)
  await locks.request('a', { mode: 'shared' }, async () => {
    const killed = requester(t, { mode: 'shared', ttl: 2000 })
    await killed.heard('holds')
    assert.equal((await locks.query()).held.length, 2)

    await killed.kill('SIGKILL')

    await eventually(async () => (await locks.query()).held.length === 1, 'one share')
    const exclusive = await locks.request('a', { ifAvailable: true }, (lock) => lock)
    assert.equal(exclusive, null)
  })
  assert.equal(await locks.request('a', { ifAvailable: true }, () => 'free'), 'free')
})

test('who waits for the last of several shares gets the lock although that one was killed', async (t) => {
  const locks = distLock(redis.url)
  const killed = requester(t, { mode: 'shared', ttl: 2000 })
  await killed.heard('holds')
  const waiting = locks.request('a', () => 'served')

  await killed.kill('SIGKILL')

  assert.equal(await waiting, 'served')
})

test('a waiter that is killed holds up nobody, of either mode', async (t) => {
  for (const mode of ['exclusive', 'shared']) {
    const locks = distLock(redis.url)
    let behind
    await locks.request('a', async () => {
      const killed = requester(t, {})
      await eventually(async () => (await waiters(locks)) === 1, 'it waits')
      behind = locks.request('a', { mode }, () => mode)
      await killed.kill('SIGKILL')
    })

    assert.equal(await behind, mode)
  }
})

test('the lock of a process that is dead can be stolen', async (t) => {
  const killed = requester(t, {})
  await killed.heard('holds')
  await killed.kill('SIGKILL')

  assert.equal(await distLock(redis.url).request('a', { steal: true }, () => 'stolen'), 'stolen')
})

test('a process of version 2 is kept out by those who share a lock, and finds out who does', async (t) => {
  const locks = distLock(redis.url)
  const options = { version: 'version 2', kind: 'redis-3.1', port: redis.port }
  await locks.request('a', { mode: 'shared', owner: 'first' }, (first) =>
    locks.request('a', { mode: 'shared' }, async () => {
      const { said } = await runProgram(t, options, ({ distLock, client, say }) => {
        const locks = distLock(client, { maxRetries: 2 })
        locks.acquire('a', (error, lock) => {
          say('acquired', lock !== false)
          client.quit()
        })
      })
      assert.deepEqual(said, [['acquired', false]])

      const found = await locks.getAcquiredLock('a')
      assert.deepEqual([found.owner, found.fencingToken], ['first', first.fencingToken])
    }),
  )
})

test('a lock of version 2 is waited for, told by query, and can be stolen', async (t) => {
  const locks = distLock(redis.url)
  const options = { version: 'version 2', kind: 'redis-3.1', port: redis.port }
  const holding = startProgram(t, options, ({ distLock, client, say }) => {
    const locks = distLock(client)
    locks.acquire('a', 'the old', (error, lock) => {
      say('held')
      client.blpop('stolen', 0, () =>
        lock.release((error, released) => client.quit(say('released', released))),
      )
    })
  })
  await holding.heard('held')
  const { held } = await locks.query()
  assert.deepEqual(
    held.map(({ name, mode, owner, fencingToken }) => [name, mode, owner, fencingToken]),
    [['a', 'exclusive', 'the old', undefined]],
  )
  const share = { mode: 'shared', ifAvailable: true }
  assert.equal(await locks.request('a', share, (lock) => lock), null)
  const waiting = locks.request('a', { mode: 'shared' }, () => 'served')

  await locks.request('a', { steal: true }, async () => {
    await redis.command('RPUSH', 'stolen', 'a')
    const { said } = await holding.ended
    assert.deepEqual(said[1], ['released', false])
  })

  assert.equal(await waiting, 'served')
})

test('all threads of a process share the locks in memory:', async (t) => {
  const { said, code, errors } = await runChild(t, { ttl: LONG }, async (here) => {
    const { distLock, thread, say, until, ttl } = here
    const locks = distLock('memory:')
    const ask = (options) =>
      thread({ options, ttl }, async ({ distLock, say, options, ttl }) => {
        const locks = distLock('memory:', { ttl })
        const { lasts = 0, ...request } = options
        const requested = locks.request('a', request, () => {
          say('holds', process.hrtime.bigint())
          return new Promise((resolve) => setTimeout(resolve, lasts))
        })
        say('asked')
        await requested.then(
          () => say('released'),
          (error) => say('failed', error.name),
        )
      })
    const pending = async () => (await locks.query()).pending.length

    // One order over threads and modes; the ids tell them apart. What two threads say
    // arrives in any order: the clock, which they share, tells who held the lock first.
    const end = await locks.request('a', { mode: 'shared' }, async () => {
      const others = []
      for (const mode of ['exclusive', 'shared', 'exclusive']) {
        const other = ask({ mode })
        others.push(other)
        await until(async () => (await pending()) === others.length)
      }
      const { held, pending: waiting } = await locks.query()
      say('ids', new Set([...held, ...waiting].map(({ clientId }) => clientId)).size)
      return async () => {
        await Promise.all(others.map((other) => other.heard('released')))
        return others
      }
    })
    const threads = await end()
    const turns = await Promise.all(threads.map((other) => other.heard('holds')))
    const inOrder = turns.map(([, at]) => at).sort((a, b) => (a < b ? -1 : 1))
    say('order', ...turns.map(([, at]) => inOrder.indexOf(at)))

    const victim = ask({ mode: 'shared', lasts: 60000 })
    await victim.heard('holds')
    await locks.request('a', { steal: true }, async () => say(...(await victim.heard('failed'))))
    await victim.terminate()

    const waiter = ask({})
    const next = await locks.request('a', async () => {
      await until(async () => (await pending()) === 1)
      const next = locks.request('a', () => 'next')
      await waiter.terminate()
      return () => next
    })
    say(await next())
  })

  assert.equal(code, 0, errors)
  assert.deepEqual(said, [['ids', 4], ['order', 0, 1, 2], ['failed', 'AbortError'], ['next']])
})

test('on a Cluster requests are served in order, stolen and told of on all nodes', async (t) => {
  const cluster = await startCluster(t)
  const locks = distLock(cluster.source, { ttl: LONG })
  const other = distLock(cluster.source, { commandTimeout: 4999 })
  const names = await cluster.namesOn(cluster.primaries)
  for (const name of names) {
    const told = []
    let opened
    const opening = new Promise((resolve) => (opened = resolve))
    const shared = [1, 2].map(() =>
      locks.request(name, { mode: 'shared' }, async () => {
        await opening
        told.push('shared')
      }),
    )
    const alone = locks.request(name, () => told.push('alone'))
    const behind = locks.request(name, { mode: 'shared' }, () => told.push('behind'))
    await eventually(async () => (await locks.query()).held.length === 2, 'both are held')
    opened()
    await Promise.all([...shared, alone, behind])
    assert.deepEqual(told, ['shared', 'shared', 'alone', 'behind'])
  }

  let holding = 0
  const victims = names.map((name) =>
    locks.request(name, { mode: 'shared' }, () => {
      holding += 1
      return new Promise(() => {})
    }),
  )
  const failed = Promise.all(
    victims.map(async (victim) => assert.equal((await failure(victim, 5000)).name, 'AbortError')),
  )
  await eventually(() => holding === 3, 'all are held')
  const { held } = await other.query()
  assert.deepEqual(held.map(({ name }) => name).sort(), [...names].sort())
  await Promise.all(names.map((name) => other.request(name, { steal: true }, () => failed)))
})
