'use strict'

// Processes that contend while things go wrong, for a few seconds; `npm run test:faults` does it for longer
// and on more deployments. And that it would be noticed if something were not as promised.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { Chance } = require('./faults/chance.js')
const { Contenders } = require('./faults/contenders.js')
const { History } = require('./faults/history.js')
const { trial, violations } = require('./faults/trial.js')

const SECONDS = 4

describe('faults at random break no promise', { concurrency: 2 }, () => {
  for (const topology of ['standalone', 'quorum']) {
    test(topology, async (t) => {
      const seed = Date.now() % 1e6
      const plan = { topology, seconds: SECONDS, seed, processes: 3, ttl: 600 }
      const result = await trial(t, plan)
      t.diagnostic(`seed ${seed}, ${result.calls} calls, ${result.grants} grants`)
      assert.deepEqual(violations(result), [])
      assert.ok(result.grants > 20, `${result.grants} grants`)
    })
  }
})

describe('of what processes say it is found', () => {
  const hold = (from, to, more) => ({ is: 'hold', name: 'a', began: from, from, to, ...more })
  const history = (...events) => {
    const said = new History()
    for (const event of events) said.add(event.process ?? 1, event)
    return said
  }

  test('that two believed at once', () => {
    assert.equal(history(hold(0, 10), hold(10, 20), hold(30, 40)).overlaps().length, 0)
    assert.equal(history(hold(0, 10), { ...hold(0, 10), name: 'b' }).overlaps().length, 0)
    assert.equal(history(hold(0, 10), hold(9, 20)).overlaps().length, 1)
    assert.equal(history(hold(5, 6), hold(0, 10)).overlaps().length, 1)
    // Of a process that was killed only the beginning is known.
    assert.equal(history({ ...hold(5), is: 'grant', id: 'c' }, hold(0, 10)).overlaps().length, 1)
  })

  test('that a token did not grow', () => {
    const held = (from, token, began = from) => hold(from, from + 1, { token, began })
    assert.equal(history(held(0, 1), held(10, 2), held(20, 3)).disorders().length, 0)
    assert.equal(history(held(0, 2), held(10, 1)).disorders().length, 1)
    assert.equal(history(held(0, 2), held(10, 2)).disorders().length, 1)
    // Asked before the other one had it: either may have come first.
    assert.equal(history(held(0, 2), held(1, 1, 0)).disorders().length, 0)
  })

  test('that a call has not ended, or not in time', () => {
    const call = (number, at, limit) => ({ is: 'call', number, at, limit })
    const end = (number, at) => ({ is: 'end', number, at, outcome: 'yes' })
    const said = history(call(1, 0, 1000), end(1, 900), call(2, 0, 1000), end(2, 9000))
    assert.deepEqual([said.hung().length, said.late().length], [0, 1])
    said.paused(1, 100, 8100)
    assert.equal(said.late().length, 0, 'its process stood still meanwhile')
    said.add(1, call(3, 0))
    assert.equal(said.hung().length, 1)
    said.killed(1)
    assert.equal(said.hung().length, 0)
  })

  test('that a lock was lost before its lease was over', () => {
    assert.equal(history(hold(0, 100, { how: 'over', seen: 102, until: 101 })).lost().length, 0)
    assert.equal(history(hold(0, 100, { how: 'released', seen: 100, until: 900 })).lost().length, 0)
    // It stood still meanwhile.
    assert.equal(history(hold(0, 100, { how: 'over', seen: 950, until: 900 })).lost().length, 0)
    assert.equal(history(hold(0, 100, { how: 'over', seen: 102, until: 900 })).lost().length, 1)
  })

  test('that all of them died, and of what', async () => {
    const contenders = new Contenders(new History(), new Chance(1), { source: 'x', options: {} })
    contenders.start()
    assert.doesNotThrow(() => contenders.assertAlive())

    await contenders.stop(30_000)

    assert.throws(
      () => contenders.assertAlive(),
      /^Error: all processes have ended:\n[^]*no scheme/,
    )
  })

  test('how long it took until all were served again', () => {
    const ask = (name, number) => ({ is: 'call', number, name, at: 0 })
    const said = history(ask('a', 1), ask('b', 2), hold(50, 60), { ...hold(80, 90), name: 'b' })
    assert.equal(said.recovery(['a', 'b', 'c'], 40), 40, 'nobody asked for c')
    assert.equal(said.recovery(['a', 'b'], 60), Infinity)
  })
})
