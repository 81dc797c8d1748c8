'use strict'

const { OURS, UPGRADED, ORIGINAL, FLOORS } = require('../contenders/index.js')
const { onOneCore } = require('../one-core.js')
const { COLUMNS, LEGEND, measureUncontended } = require('./uncontended.js')

/** One lock at a time, with client and server on one core. */
module.exports = {
  name: 'pinned',
  title: 'Free locks on one core',
  legend: `Client and server share one core, by taskset. ${LEGEND}`,
  contenders: [OURS, UPGRADED, ORIGINAL, ...FLOORS],
  sizes: [1],
  sizeTitle: (size) => `${size} in flight`,
  full: { rounds: 9, seconds: 0.5 },
  quick: { rounds: 3, seconds: 0.25 },
  measureRound: (redis, plan) =>
    onOneCore(redis, plan, (stay) => measureUncontended(redis, plan, stay)),
  columns: COLUMNS,
}
