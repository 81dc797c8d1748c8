'use strict'

const { CONTENDERS, OURS, ORIGINAL, PROMISES, REQUEST } = require('../contenders/index.js')
const { COLUMNS, LEGEND, measureUncontended } = require('./uncontended.js')

const RATE = {
  figure: 'rate',
  format: (number) => Math.round(number).toLocaleString('en'),
  isBetter: 'more',
  hasRatio: true,
}

const COST = { format: (number) => number.toFixed(1), isBetter: 'less', hasRatio: true }

/** What a lock costs that nobody else wants. */
module.exports = {
  name: 'free',
  title: 'Free locks',
  legend: LEGEND,
  contenders: [...CONTENDERS.filter((file) => file !== PROMISES), REQUEST],
  sizes: [1, 100, 1000, 10_000],
  sizeTitle: (size) => `${size.toLocaleString('en')} in flight`,
  full: { rounds: 5, seconds: 0.4 },
  quick: { rounds: 2, seconds: 0.2 },
  check: {
    rounds: 7,
    seconds: 0.4,
    sizes: [1, 100, 1000],
    contenders: [OURS, ORIGINAL],
    figures: [
      { says: 'locks/s', figure: 'rate', isBetter: 'more' },
      { says: 'p50', figure: 'p50', isBetter: 'less' },
      { says: 'JS thread per lock', figure: 'threadCpu', isBetter: 'less' },
    ],
  },
  pictures: [
    {
      file: 'free-locks',
      title: 'Free locks per second',
      subtitle:
        'Acquire and release, many at a time; × next to dist-lock 2; lines: the middle half of the rounds',
      panels: [
        { title: '100 in flight', size: 100, ...RATE },
        { title: '1000 in flight', size: 1000, ...RATE },
      ],
    },
    {
      file: 'free-locks-cost',
      title: 'Processor time per lock',
      subtitle: '1000 in flight, µs per acquire and release; × next to dist-lock 2',
      panels: [
        { title: 'Thread that runs JavaScript', size: 1000, figure: 'threadCpu', ...COST },
        { title: 'All threads of the process', size: 1000, figure: 'processCpu', ...COST },
      ],
    },
  ],
  measureRound: measureUncontended,
  columns: COLUMNS,
}
