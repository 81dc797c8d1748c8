'use strict'

// Rolling deploys: old and new processes on one lock.

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, before, test } = require('node:test')
const { runProgram, startProgram } = require('./support/program.js')
const { startRedis } = require('./support/redis.js')

/** How long they contend: enough for the luck of a few turns not to decide. */
const TIME = 5000

const OLD = ['version 2', 'version 2', 'version 2', 'version 2']
const NEW = ['version 3', 'version 3', 'version 3', 'version 3']

let redis
const starting = startRedis({ after })
before(async () => (redis = await starting))

test('four old and four new processes exclude each other, and neither starves the other', async (t) => {
  const shares = await contend(t, [...OLD, ...NEW])

  const sum = (version) => {
    const ofVersion = shares.filter((share) => !version || share.version === version)
    return ofVersion.reduce((sum, { turns }) => sum + turns, 0)
  }
  const total = sum()
  const seen = shares.map(({ version, turns }) => `${version}: ${turns}`).join(', ')
  assert.equal(Number(await redis.command('GET', 'counter')), total, 'an update was lost')
  // Each has its time, in which version 2 takes more turns: one process after the other, without handing on.
  for (const version of ['version 2', 'version 3']) {
    assert.ok(sum(version) >= total / 2 / 10, `the processes of ${version} starve: ${seen}`)
  }
  // Those of version 2 may starve one another, as ever.
  for (const { version, turns } of shares.filter(({ version }) => version === 'version 3')) {
    assert.ok(turns >= sum(version) / NEW.length / 2, `a process of ${version} starves: ${seen}`)
  }
})

for (const [holder, other] of [
  ['version 2', 'version 3'],
  ['version 3', 'version 2'],
]) {
  test(`a process of ${other} reads and releases what one of ${holder} holds`, async (t) => {
    await redis.command('FLUSHALL')
    const options = { kind: 'redis-3.1', port: redis.port }
    const holding = startProgram(t, { ...options, version: holder }, ({ locks, client, say }) => {
      locks.acquire('a', 'the holder', (error, lock) => {
        say('held', lock.id)
        client.blpop('released', 0, () => lock.release((...args) => client.quit(say(...args))))
      })
    })
    await holding.heard('held')

    const { said } = await runProgram(t, { ...options, version: other }, (here) => {
      const { locks, client, say } = here
      locks.getAcquiredLock('a', (error, lock) => {
        say('found', lock.id, lock.owner)
        lock.release((error, released) => {
          say('released', released)
          client.rpush('released', 'a', () => client.quit())
        })
      })
    })

    const ended = await holding.ended
    const [, id] = ended.said[0]
    assert.deepEqual(said, [
      ['found', id, 'the holder'],
      ['released', true],
    ])
    assert.deepEqual(ended.said[1], [null, false])
  })

  test(`a process of ${other} gets what one of ${holder} releases`, async (t) => {
    await redis.command('FLUSHALL')
    const options = { kind: 'redis-3.1', port: redis.port }
    const holding = startProgram(t, { ...options, version: holder }, ({ locks, client, say }) => {
      locks.acquire('a', (error, lock) => {
        say('held')
        client.blpop('waiting', 0, () => lock.release((...args) => client.quit(say(...args))))
      })
    })
    await holding.heard('held')

    const { said } = await runProgram(t, { ...options, version: other }, (here) => {
      const { locks, client, open, say } = here
      locks.acquire('a', (error, lock) => {
        say(lock.key, lock.acquiredOnAttempt > 1)
        client.quit()
      })
      // Answered after the first try.
      locks.getAcquiredLock('a', () => {
        const another = open()
        another.rpush('waiting', 'b', () => another.quit())
      })
    })

    assert.deepEqual(said, [['lock:a', true]])
    assert.deepEqual((await holding.ended).said[1], [null, true])
  })
}

/** Processes that count together, each as often as it gets the lock. */
async function contend(t, versions) {
  await redis.command('FLUSHALL')
  const programs = versions.map((version) => {
    const options = { version, kind: 'redis-3.1', port: redis.port }
    return startProgram(t, options, countUnderLock)
  })
  await Promise.all(programs.map((program) => program.heard('ready')))
  await redis.command('RPUSH', 'start', ...versions)
  await sleep(TIME)
  await redis.command('SET', 'stop', 'now')

  const outcomes = await Promise.all(programs.map((program) => program.ended))
  return outcomes.map(({ said, errors }, index) => {
    assert.equal(errors, '')
    return { version: versions[index], turns: said.find(([word]) => word === 'turns')[1] }
  })
}

/** Reads a counter and writes one more, which only a lock makes safe; without a pause. */
function countUnderLock({ locks, client, say }) {
  let turns = 0
  say('ready')
  client.blpop('start', 0, next)

  function next(error) {
    if (error) throw error
    locks.acquire('counter', (error, lock) => {
      if (error) throw error
      client.mget('counter', 'stop', (error, [count, stop]) => {
        if (error) throw error
        if (stop) return finish(lock)
        client.set('counter', Number(count) + 1, (error) => {
          if (error) throw error
          turns += 1
          lock.release(next)
        })
      })
    })
  }

  function finish(lock) {
    lock.release(() => {
      say('turns', turns)
      client.quit()
    })
  }
}
