'use strict'

const { sleep } = require('../clock.js')
const { OURS, ORIGINAL, PEERS } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { value } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { countCommands, serverCpuTime } = require('../server-cost.js')

/** How many wait, in one process. */
const SIZES = [1000]

/** Milliseconds for all of them to begin to wait. */
const SETTLE = 500

const DIGITS = { maximumSignificantDigits: 3 }

/** Many callers of one process that wait for a lock of another, and what that costs. */
module.exports = {
  name: 'idle',
  title: 'Waiting',
  legend: `Waiters of one process, all for a lock that another process holds; medians of the rounds.
commands/s: sent to the server by all of them, from half a second after they began; Redis: the
share of a processor that the server used. wake: milliseconds from just before the holder calls
release until the first waiter has the lock.`,
  contenders: [OURS, ORIGINAL, ...PEERS],
  sizes: SIZES,
  sizeTitle: (size) => `${size} waiters`,
  full: { rounds: 5, seconds: 3 },
  quick: { rounds: 2, seconds: 1 },
  measureRound: (redis, plan) =>
    eachInTurn(SIZES, plan, (contender, waiters) => measureOne(redis, contender, waiters, plan)),
  columns: [
    value('commands/s', 'commands', (number) => number.toLocaleString('en', DIGITS)),
    value('Redis', 'serverShare', (number) => `${(number * 100).toFixed(1)} %`),
    value('wake ms', 'wake', (number) => number.toPrecision(3)),
  ],
}

function measureOne(redis, contender, waiters, { seconds }) {
  return withRacers(redis, contender, 2, async ([holder, crowd]) => {
    await holder.ask('hold', { resource: 'bench' })
    await crowd.ask('beginToWait', { resource: 'bench', waiters })
    await sleep(SETTLE)

    let used
    const commands = await countCommands(redis, async () => {
      const before = await serverCpuTime(redis)
      await sleep(seconds * 1000)
      used = (await serverCpuTime(redis)) - before
    })
    const early = await crowd.ask('peekFirst')
    if (early !== undefined) throw new Error('two held the lock at once')

    const [granted, released] = await Promise.all([crowd.ask('awaitFirst'), holder.ask('letGo')])
    return {
      // Less the two questions above.
      commands: (commands - 2) / seconds,
      serverShare: used / 1e6 / seconds,
      wake: granted - released,
    }
  })
}
