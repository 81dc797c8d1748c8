'use strict'

const { sleep } = require('../clock.js')
const { OURS, ORIGINAL, PEERS } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { value } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { countCommands, measureServer } = require('../server-cost.js')

/** How many wait, in one process. */
const SIZES = [1000]

/** For how many seconds their commands are counted. */
const COUNTED = 1

/** Milliseconds for all of them to begin to wait. */
const SETTLE = 500

const count = (number) => number.toLocaleString('en', { maximumSignificantDigits: 3 })

/** Many callers of one process that wait for a lock of another, and what that costs. */
module.exports = {
  name: 'idle',
  title: 'Waiting',
  legend: `Waiters of one process, all for a lock that another process holds; medians of the rounds.
commands/s: sent to the server by all of them, from half a second after they began, and kB/s to and
from it; Redis: the share of a processor that the server used. wake: milliseconds from just before the holder calls
release until the first waiter has the lock.`,
  contenders: [OURS, ORIGINAL, ...PEERS],
  sizes: SIZES,
  sizeTitle: (size) => `${size} waiters`,
  full: { rounds: 3, seconds: 2 },
  quick: { rounds: 1, seconds: 1 },
  pictures: [
    {
      file: 'waiting',
      title: 'A thousand waiters for one lock',
      subtitle: 'What they cost while they wait, and how soon the first one has the lock',
      panels: [
        { title: 'Commands per second', figure: 'commands', format: count },
        { title: 'ms from release to the lock', figure: 'wake', format: count },
      ].map((panel) => ({ ...panel, size: 1000, isBetter: 'less' })),
    },
  ],
  measureRound: (redis, plan) =>
    eachInTurn(plan, (contender, waiters) => measureOne(redis, contender, waiters, plan)),
  columns: [
    value('commands/s', 'commands', count),
    value('kB/s', 'bytes', (number) => count(number / 1000)),
    value('Redis', 'serverShare', (number) => `${(number * 100).toFixed(1)} %`),
    value('wake ms', 'wake', (number) => number.toPrecision(3)),
  ],
}

function measureOne(redis, contender, waiters, { seconds }) {
  return withRacers(redis, contender, 2, async ([holder, crowd]) => {
    await holder.ask('hold', { resource: 'bench' })
    await crowd.ask('beginToWait', { resource: 'bench', waiters })
    await sleep(SETTLE)

    const { cpu, bytes } = await measureServer(redis, () => sleep(seconds * 1000))
    const { commands } = await countCommands(redis, () => sleep(COUNTED * 1000))
    const early = await crowd.ask('peekFirst')
    if (early !== undefined) throw new Error('two held the lock at once')

    const [granted, released] = await Promise.all([crowd.ask('awaitFirst'), holder.ask('letGo')])
    return {
      commands: commands / COUNTED,
      bytes: bytes / seconds,
      serverShare: cpu / 1e6 / seconds,
      wake: granted - released,
    }
  })
}
