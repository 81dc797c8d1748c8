'use strict'

const { sleep } = require('../clock.js')
const { OURS, PERMITS, SHARED } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { value } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { countCommands } = require('../server-cost.js')
const { WARM_UP } = require('../warm-up.js')

/** In how many processes the callers are. */
const SIZES = [1, 4]

/** How many callers there are in all: who has a permit is one of them, who reads waits for nobody. */
const CALLERS = { [OURS]: 100, [SHARED]: 100, [PERMITS]: 1000 }

/** How long their commands are counted, in parts of the time that is measured. */
const COUNTED = 0.4

/** One key that several hold at once, next to one that only one does. */
module.exports = {
  name: 'shared',
  title: 'One key, held by several at once',
  legend: `Each of 100 callers, or of 1000 for 10 permits, acquires, releases at once and acquires again;
medians of the rounds. Without a mode or permits the lock is for one alone. commands: sent to the
server per grant, in a run of their own.`,
  contenders: [OURS, SHARED, PERMITS],
  sizes: SIZES,
  sizeTitle: (size) => (size === 1 ? 'Callers of one process' : `Callers of ${size} processes`),
  full: { rounds: 4, seconds: 0.5 },
  quick: { rounds: 1, seconds: 0.4 },
  measureRound: (redis, plan) =>
    eachInTurn(plan, (contender, processes) => measureOne(redis, contender, processes, plan)),
  columns: [
    value('grants/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
    value('commands', 'commands', (number) => number.toFixed(2)),
  ],
}

function measureOne(redis, contender, processes, { seconds }) {
  return withRacers(redis, contender, processes, async (racers) => {
    const waiters = CALLERS[contender] / processes
    const crowd = { resource: 'bench', waiters, warmUp: WARM_UP, seconds }
    const figures = await Promise.all(racers.map((racer) => racer.ask('crowd', crowd)))
    const rate = figures.reduce((sum, one) => sum + one.rate, 0)

    // They go on as before.
    const { commands, result: grants } = await countCommands(redis, async () => {
      const before = await allGrants(racers)
      await sleep(seconds * COUNTED * 1000)
      return (await allGrants(racers)) - before
    })
    return { rate, commands: grants > 0 ? commands / grants : undefined }
  })
}

async function allGrants(racers) {
  const grants = await Promise.all(racers.map((racer) => racer.ask('countGrants')))
  return grants.reduce((sum, one) => sum + one, 0)
}
