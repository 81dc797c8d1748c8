'use strict'

const { BARE, CONTENDERS, PROMISES } = require('../contenders/index.js')
const { installedSize } = require('../contenders/packages.js')
const { withNewProcess } = require('../racer.js')
const { value, ratio } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')

/** What it takes to have one lock at all. */
module.exports = {
  name: 'start',
  title: 'Starting, and what is installed',
  legend: `first lock: from before the library is required until a new process has its first lock, with the
connection. RSS: how much the process grew by that. packages, MB: what npm installs for the library
and the client it goes through; this package counts with the addon for one platform.`,
  contenders: CONTENDERS.filter((file) => ![BARE, PROMISES].includes(file)),
  sizes: [1],
  sizeTitle: () => 'One lock',
  full: { rounds: 7 },
  quick: { rounds: 2 },
  measureRound: (redis, plan) =>
    eachInTurn(plan, async (contender) => ({
      ...(await withNewProcess(redis, contender, (racer) => racer.ask('start'))),
      ...installedSize(contender),
    })),
  columns: [
    value('first lock ms', 'first', (number) => number.toPrecision(3)),
    ratio('first'),
    value('RSS MB', 'rss', (number) => (number / 1e6).toFixed(1)),
    value('packages', 'packages', String),
    value('MB', 'installed', (number) => (number / 1e6).toFixed(2)),
  ],
}
