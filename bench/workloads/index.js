'use strict'

/**
 * What is measured, in the order of the report: files of this directory.
 *
 * @typedef {object} Workload
 * @property {string} name
 * @property {string} title
 * @property {string} legend   what the columns mean
 * @property {string[]} contenders   who takes part
 * @property {number[]} sizes   how much of it: one table each
 * @property {(size: number) => string} sizeTitle
 * @property {{ rounds: number, seconds?: number }} full   how long, per contender and size; no
 *   seconds where the time is part of what is measured
 * @property {{ rounds: number, seconds?: number }} quick
 * @property {object} [check]   likewise for `--check`, with `sizes`, `contenders` and `figures`, see
 *   `check.js`; absent where its noise is too large for that
 * @property {import('../report/pictures.js').Picture[]} [pictures]   what is drawn of it
 * @property {(redis: object, plan: object) => Promise<object[]>} measureRound   the samples of one
 *   round, see `rounds.js`
 * @property {object[]} columns   of the tables, see `report/columns.js`
 */
const WORKLOADS = [
  require('./free.js'),
  require('./pinned.js'),
  require('./loop.js'),
  require('./crowd.js'),
  require('./crowd-pinned.js'),
  require('./processes.js'),
  require('./shared.js'),
  require('./idle.js'),
  require('./blocked.js'),
  require('./renewal.js'),
  require('./memory.js'),
  require('./start.js'),
]

/** Names for several of them. */
const GROUPS = {
  all: WORKLOADS.map(({ name }) => name),
  contended: ['crowd', 'crowd-pinned', 'processes', 'idle'],
}

module.exports = { WORKLOADS, GROUPS }
