'use strict'

const { OURS, ORIGINAL, PEERS } = require('../contenders/index.js')
const { onOneCore } = require('../one-core.js')
const { COLUMNS, LEGEND, measureCrowd } = require('./hand-offs.js')

/** One key that many callers of one process want over and over, with client and server on one core. */
module.exports = {
  name: 'crowd-pinned',
  title: 'One key, many callers of one process, on one core',
  legend: `Client and server share one core, by taskset. ${LEGEND}`,
  contenders: [OURS, ORIGINAL, ...PEERS],
  sizes: [10, 100, 1000],
  sizeTitle: (size) => `${size} callers`,
  full: { rounds: 5, seconds: 0.4 },
  quick: { rounds: 1, seconds: 0.3 },
  measureRound: (redis, plan) => onOneCore(redis, plan, (stay) => measureCrowd(redis, plan, stay)),
  columns: COLUMNS,
}
