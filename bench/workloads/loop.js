'use strict'

const { OURS, UPGRADED, ORIGINAL, FLOORS, PEERS } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { value, ratio } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { WARM_UP } = require('../warm-up.js')

/** What a program notices of its locks besides. */
module.exports = {
  name: 'loop',
  title: 'Event-loop delay',
  legend: `While so many free locks are under way in the same thread: how long an event would have had to
wait, at each millisecond. A timer looks each millisecond; what is below 1 or 2 ms is the timer's own.`,
  contenders: [OURS, UPGRADED, ORIGINAL, ...FLOORS, ...PEERS],
  sizes: [100, 1000],
  sizeTitle: (size) => `${size} in flight`,
  full: { rounds: 4, seconds: 0.3 },
  quick: { rounds: 1, seconds: 0.25 },
  measureRound: (redis, plan) =>
    eachInTurn(plan, (contender, inFlight) => measureOne(redis, contender, inFlight, plan)),
  columns: [
    value('p50 ms', 'p50', (number) => number.toPrecision(2)),
    value('p99 ms', 'p99', (number) => number.toPrecision(3)),
    ratio('p99'),
    value('longest ms', 'longest', (number) => number.toPrecision(3)),
    value('locks/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
  ],
}

function measureOne(redis, contender, inFlight, { seconds }) {
  return withRacers(redis, contender, 1, async ([racer]) => {
    await racer.ask('measure', { inFlight, seconds: WARM_UP })
    return racer.ask('measureLoop', { inFlight, seconds })
  })
}
