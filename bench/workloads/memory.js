'use strict'

const { sleep } = require('../clock.js')
const { OURS, ORIGINAL, PEERS, PROMISES } = require('../contenders/index.js')
const { withNewProcess, withRacers } = require('../racer.js')
const { growth, value } = require('../report/columns.js')
const { attempt, eachInTurn } = require('../rounds.js')

/** How many waiters each key has. */
const PER_KEY = 10

/** They have settled when their memory changes by less than this share from one look to the next. */
const SETTLED = 0.01

/** Milliseconds between two looks. */
const PAUSE = 700

/** How many looks there are at most: those who poll never settle. */
const mostLooks = (count) => 3 + count / 10_000

/** Enough to have all memory that any of them needs to begin with. */
const WARM_UP = { inFlight: 1000 }

/** As many waiters are more than those who poll can do; they would only take time. */
const OURS_ALONE = 100_000

/** What locks and waiters take of memory. */
module.exports = {
  name: 'memory',
  title: 'Memory',
  legend: `Resident memory of a process, without garbage, in bytes for each of so many locks that it holds, or
calls that wait, for a tenth as many keys of another process. beyond: what is left when that of the
promises alone is taken off. heap: the objects of JavaScript; native: resident besides the pages of
the heap, which is what Rust takes here. Below zero: the process gave back more than they took.
growth: how many times all that is resident then, next to a tenth as many.`,
  contenders: [PROMISES, OURS, ORIGINAL, ...PEERS],
  sizes: [1000, 10_000, 100_000],
  sizeTitle: (size) => `${size.toLocaleString('en')} locks, ${size.toLocaleString('en')} waiters`,
  full: { rounds: 2 },
  quick: { rounds: 1 },
  pictures: [
    {
      file: 'memory',
      title: 'Memory of many locks and waiters',
      subtitle:
        'All that is resident of one process; grey: the other libraries; dashed: ten times as much for ten times as many',
      panels: [
        { title: 'Locks held', figure: 'heldAll' },
        { title: 'Waiters', figure: 'waiterAll' },
      ].map((panel) => ({ ...panel, format: megabytes })),
    },
  ],
  measureRound,
  columns: [
    value('held', 'held', bytes),
    value('heap', 'heldHeap', bytes),
    value('native', 'heldNative', bytes),
    growth('heldAll'),
    value('waiter', 'waiter', bytes),
    value('beyond', 'beyond', bytes),
    value('heap', 'waiterHeap', bytes),
    value('native', 'waiterNative', bytes),
    growth('waiterAll'),
  ],
}

function megabytes(number) {
  return `${(number / 1e6).toFixed(0)} MB`
}

function bytes(number) {
  return Math.round(number).toLocaleString('en')
}

async function measureRound(redis, plan) {
  const promises = new Map()
  for (const count of plan.sizes) {
    promises.set(count, await attempt(() => measurePromises(redis, count)))
  }
  return eachInTurn(plan, async (contender, count) => {
    if (contender === PROMISES) return promises.get(count)
    if (count >= OURS_ALONE && contender !== OURS) return undefined
    const figures = await measureOne(redis, contender, count)
    return { ...figures, beyond: figures.waiter - promises.get(count).waiter }
  })
}

function measurePromises(redis, count) {
  return withNewProcess(redis, PROMISES, async (racer) => {
    await racer.open()
    return { name: racer.name, ...(await measureWaiters(racer, count)) }
  })
}

function measureOne(redis, contender, count) {
  return withRacers(redis, contender, 2, async ([holder, crowd]) => {
    await Promise.all([holder.ask('run', WARM_UP), crowd.ask('run', WARM_UP)])
    const before = await holder.ask('stock')
    await holder.ask('holdMany', { count })
    const after = await holder.ask('stock')
    return {
      heldAll: after.all,
      held: (after.all - before.all) / count,
      heldHeap: (after.heap - before.heap) / count,
      heldNative: (after.native - before.native) / count,
      ...(await measureWaiters(crowd, count)),
    }
  })
}

async function measureWaiters(racer, count) {
  const before = await racer.ask('stock')
  await racer.ask('waitMany', { count, keys: count / PER_KEY })
  const after = await settle(racer, mostLooks(count))
  return {
    waiterAll: after.all,
    waiter: (after.all - before.all) / count,
    waiterHeap: (after.heap - before.heap) / count,
    waiterNative: (after.native - before.native) / count,
  }
}

/** What the process takes once its waiters all wait. */
async function settle(racer, mostLooks) {
  let last
  for (let looks = 1; ; looks++) {
    await sleep(PAUSE)
    const stock = await racer.ask('stock')
    if (last && Math.abs(stock.all - last.all) < last.all * SETTLED) return stock
    if (looks >= mostLooks) return stock
    last = stock
  }
}
