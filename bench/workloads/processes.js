'use strict'

const { now } = require('../clock.js')
const { OURS, ORIGINAL, PEERS } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { value, ratio } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { fairness } = require('../fairness.js')
const { WARM_UP } = require('../warm-up.js')

/** How many processes want the lock, one caller in each. */
const SIZES = [2, 4, 8]

/** Milliseconds for all of them to hear when it begins. */
const HEADS_UP = 50

/** One key that several processes want over and over, and hold for a millisecond each time. */
module.exports = {
  name: 'processes',
  title: 'One key, several processes',
  legend: `Each process acquires, is busy for 1 ms and releases, over and over; medians of the rounds.
Jain: how evenly the grants were spread, 1 for all alike, 1/P for all to one. changes/s: how often
the lock went from one process to another. longest wait: in fair turns, which is P times the mean
time from grant to grant; who was still waiting at the end counts. hand-off: to another process,
from just before release is called until that has the lock.`,
  contenders: [OURS, ORIGINAL, ...PEERS],
  sizes: SIZES,
  sizeTitle: (size) => `${size} processes`,
  full: { rounds: 4, seconds: 0.5 },
  quick: { rounds: 1, seconds: 0.5 },
  check: {
    rounds: 5,
    seconds: 0.5,
    sizes: [4],
    contenders: [OURS, ORIGINAL],
    figures: [{ says: 'grants/s', figure: 'rate', isBetter: 'more' }],
  },
  pictures: [
    {
      file: 'processes',
      title: 'Eight processes want one lock',
      subtitle:
        'Each holds it for 1 ms, over and over. A fair turn: eight times the mean time from grant to grant',
      panels: [
        { title: 'Longest wait, in fair turns', figure: 'longestWait', isBetter: 'less' },
        { title: 'Changes of owner per second', figure: 'changes', isBetter: 'more' },
      ].map((panel) => ({ ...panel, size: 8, format: (number) => number.toPrecision(3) })),
    },
  ],
  measureRound: (redis, plan) =>
    eachInTurn(plan, (contender, count) => measureOne(redis, contender, count, plan)),
  columns: [
    value('grants/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
    ratio('rate'),
    value('Jain', 'jain', (number) => number.toFixed(3)),
    value('changes/s', 'changes', (number) => number.toPrecision(3)),
    value('longest wait', 'longestWait', (number) => number.toPrecision(3)),
    value('ms', 'longestWaitMs', (number) => number.toPrecision(3)),
    value('hand-off p50 ms', 'handoff', (number) => number.toPrecision(3)),
  ],
}

function measureOne(redis, contender, count, { seconds }) {
  return withRacers(redis, contender, count, async (racers) => {
    const from = now() + HEADS_UP
    const begin = from + WARM_UP * 1000
    const until = begin + seconds * 1000
    const logs = await Promise.all(
      racers.map((racer) => racer.ask('takeTurns', { resource: 'bench', from, until })),
    )
    return fairness(logs, { begin, until })
  })
}
