'use strict'

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const distLock = require('..')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

for (const kind of ['redis', 'memory']) {
  describe(`several resources at once, ${kind}`, () => {
    const managers = []
    let url

    test('all of them are held, with one token, and are free again together', async (t) => {
      const locks = await manager(t)

      const both = await locks.acquire(['a', 'b'], 'ann')

      assert.deepEqual(both.resource, ['a', 'b'])
      assert.deepEqual(both.key, ['lock:a', 'lock:b'])
      assert.equal(both.state, 'held')
      assert.equal((await locks.getAcquiredLock('b')).owner, 'ann')
      assert.equal(both.locks[0].fencingToken, both.locks[1].fencingToken)
      assert.equal(await locks.acquire('a', { timeout: 0 }), false)
      assert.equal(await both.release(), true)
      assert.equal(await locks.getAcquiredLock('a'), null)
      assert.equal(await both.release(), false)
    })

    test('while one is taken nothing is held, and all are as soon as it is free', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      const taken = await other.acquire('b')

      const waiting = locks.acquire(['a', 'b', 'c'])
      const free = await other.acquire('a', { timeout: 10_000 })
      await free.release()
      await taken.release()
      const all = await waiting

      assert.equal(await other.acquire('a', { timeout: 0 }), false)
      assert.equal(await all.release(), true)
    })

    test('two who want the same in another order both get them, one after the other', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      let holders = 0
      const work = async (from, names) => {
        for (let round = 0; round < 20; round++) {
          const held = await from.acquire(names)
          assert.equal(++holders, 1)
          await new Promise(setImmediate)
          holders -= 1
          await held.release()
        }
      }

      await Promise.all([work(locks, ['a', 'b']), work(other, ['b', 'a'])])
    })

    test('one who wants several in turn gets them though others always wait for each', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      let goesOn = true
      const work = async (name) => {
        while (goesOn) {
          const held = await other.acquire(name)
          await new Promise(setImmediate)
          await held.release()
        }
      }
      const others = ['a', 'a', 'a', 'b', 'b', 'b'].map(work)

      const both = await locks.acquire(['b', 'a'], { inTurn: true, timeout: 30_000 })
      goesOn = false

      assert.ok(both, 'they came past it for ever')
      await both.release()
      await Promise.all(others)
    })

    test('one that is taken until the end is an answer, and nothing is left', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      const taken = await other.acquire('b')

      assert.equal(await locks.acquire(['a', 'b'], { timeout: 700 }), false)
      assert.equal(await locks.acquire(['a', 'b'], { timeout: 700, inTurn: true }), false)

      assert.equal(await taken.release(), true)
      const { held, pending } = await locks.query()
      assert.deepEqual([held, pending], [[], []])
    })

    test('an abort leaves nothing behind', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      const taken = await other.acquire('b')
      const controller = new AbortController()
      const waiting = locks.acquire(['a', 'b'], { signal: controller.signal })

      controller.abort(new Error('enough'))

      await assert.rejects(waiting, /enough/)
      await taken.release()
      const both = await locks.acquire(['b', 'a'])
      assert.equal(await both.release(), true)
    })

    test('they are renewed together, and the loss of one is the loss of all', async (t) => {
      const locks = await manager(t)
      const both = await locks.acquire(['a', 'b'], { ttl: 2000, autoExtend: true })
      const { signal } = both

      await locks.forceRelease('b')
      await eventually(() => signal.aborted, 'the loss')

      assert.equal(signal.reason.code, 'ERR_LOCK_LOST')
      assert.equal(both.state, 'lost')
      assert.equal(both.locks[0].state, 'held')
      await both.release()
    })

    test('one after the other they are taken in the order of their names', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      const taken = await other.acquire('b')

      const waiting = locks.acquire(['c', 'b', 'a'], { inTurn: true })
      while (!(await other.getAcquiredLock('a'))) await new Promise(setImmediate)
      assert.equal(await other.getAcquiredLock('c'), null)
      await taken.release()
      const all = await waiting

      assert.deepEqual(all.resource, ['c', 'b', 'a'])
      assert.equal(await all.release(), true)
    })

    test('one after the other, one that was lost while waiting for the next is not told as held', async (t) => {
      const [locks, other] = [await manager(t), await manager(t)]
      const taken = await other.acquire('b')

      const waiting = locks.acquire(['a', 'b'], { inTurn: true, ttl: 1200 })
      await eventually(() => other.getAcquiredLock('a'), 'the first')
      await eventually(async () => !(await other.getAcquiredLock('a')), 'the end of the first')
      await taken.release()
      const both = await waiting

      assert.equal(both.state, 'held')
      await both.release()
    })

    test('names are names, each once', async (t) => {
      const locks = await manager(t)
      const wrong = { twice: ['a', 'a'], empty: ['a', ''], number: ['a', 1] }

      for (const names of Object.values(wrong)) {
        await assert.rejects(locks.acquire(names), TypeError)
        locks.acquire(names, {}, (error) => assert.ok(error instanceof TypeError))
      }
      await assert.rejects(locks.acquire([]), /resourceName is required/)
      await assert.rejects(locks.acquire(['a', 'b'], { permits: 2 }), TypeError)
      const names = ['lock:{x} 1', 'ü🔒', '3:abc']
      const all = await locks.acquire(names)
      for (const name of names) assert.ok(await locks.getAcquiredLock(name))
      await all.release()
    })

    async function manager(t) {
      if (managers.length === 0) {
        t.after(() => Promise.all(managers.splice(0).map((locks) => locks.close())))
        url = kind === 'memory' ? `memory:${t.name}` : (await startRedis(t)).url
      }
      const locks = distLock(url)
      managers.push(locks)
      return locks
    }
  })
}
