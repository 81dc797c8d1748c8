'use strict'

const { OURS, ORIGINAL, PEERS } = require('../contenders/index.js')
const { COLUMNS, LEGEND, measureCrowd } = require('./hand-offs.js')

/** How many want the lock, in one process: all but one of them wait. */
const SIZES = [2, 10, 100, 1000]

/** One key that many callers of one process want over and over. */
module.exports = {
  name: 'crowd',
  title: 'One key, many callers of one process',
  legend: LEGEND,
  contenders: [OURS, ORIGINAL, ...PEERS],
  sizes: SIZES,
  sizeTitle: (size) => `${size} callers`,
  full: { rounds: 4, seconds: 0.4 },
  quick: { rounds: 1, seconds: 0.3 },
  check: {
    rounds: 5,
    seconds: 0.5,
    sizes: [10, 1000],
    contenders: [OURS, ORIGINAL],
    figures: [{ says: 'grants/s', figure: 'rate', isBetter: 'more' }],
  },
  measureRound: (redis, plan) => measureCrowd(redis, plan),
  columns: COLUMNS,
}
