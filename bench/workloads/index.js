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
 * @property {(redis: object, plan: object) => Promise<object[]>} measureRound   the samples of one
 *   round, see `rounds.js`
 * @property {object[]} columns   of the tables, see `report/columns.js`
 */
const WORKLOADS = [
  require('./free.js'),
  require('./crowd.js'),
  require('./processes.js'),
  require('./idle.js'),
  require('./blocked.js'),
]

/** Names for several of them. */
const GROUPS = {
  all: WORKLOADS.map(({ name }) => name),
  contended: WORKLOADS.map(({ name }) => name).filter((name) => name !== 'free'),
}

module.exports = { WORKLOADS, GROUPS }
