'use strict'

const { sleep } = require('../clock.js')
const { withRacers } = require('../racer.js')
const { value, ratio } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { countCommands } = require('../server-cost.js')
const { WARM_UP } = require('../warm-up.js')

/** How long their commands are counted, in parts of the time that is measured. */
const COUNTED = 0.4

const COLUMNS = [
  value('grants/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
  value('hand-offs/s', 'handoffs', (number) => Math.round(number).toLocaleString('en')),
  ratio('handoffs'),
  value('p50 ms', 'p50', (number) => number.toPrecision(3)),
  value('p99 ms', 'p99', (number) => number.toPrecision(3)),
  value('commands', 'commands', (number) => number.toFixed(2)),
  value('served', 'served', percent),
  value('jumped', 'jumped', percent),
]

const LEGEND = `Each caller acquires, releases at once and acquires again; medians of the rounds.
hand-offs/s: grants to another caller than the one before; where waiters poll, most go to the one
that has just released. p50, p99: of hand-offs, from just before release is called until the other
has the lock. commands: sent to the server per grant, in a run of their own. served: how many of
the callers had the lock at all. jumped: grants past somebody who had called acquire earlier.`

/** 0 and 100 only where it is exactly that. */
function percent(share) {
  if (share > 0 && share < 0.001) return `${(share * 100).toPrecision(1)} %`
  return `${Math.floor(share * 1000) / 10} %`
}

/**
 * A round of callers that want one key.
 *
 * @param {(racer: object) => unknown} [prepare]   what is done to each process when it is open
 */
function measureCrowd(redis, plan, prepare = () => {}) {
  return eachInTurn(plan, (contender, waiters) =>
    measureOne(redis, contender, { waiters, seconds: plan.seconds, prepare }),
  )
}

function measureOne(redis, contender, { waiters, seconds, prepare }) {
  return withRacers(redis, contender, 1, async ([racer]) => {
    await prepare(racer)
    const crowd = { resource: 'bench', waiters, warmUp: WARM_UP, seconds }
    const figures = await racer.ask('crowd', crowd)

    // They go on as before.
    const { commands, result: grants } = await countCommands(redis, async () => {
      const before = await racer.ask('countGrants')
      await sleep(seconds * COUNTED * 1000)
      return (await racer.ask('countGrants')) - before
    })
    return { ...figures, commands: grants > 0 ? commands / grants : undefined }
  })
}

module.exports = { LEGEND, COLUMNS, measureCrowd }
