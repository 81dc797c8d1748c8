'use strict'

const { ORIGINAL } = require('./contenders/index.js')
const { spread } = require('./statistics.js')

/**
 * From the samples of all rounds to what the tables show.
 *
 * @param {import('./workloads/index.js').Workload} workload
 * @param {import('./rounds.js').Sample[]} samples
 * @returns {{ size: number, rows: Row[] }[]}
 *
 * @typedef {object} Row
 * @property {string} contender
 * @property {string} name
 * @property {Record<string, Spread>} values   by figure; one that could not be told is absent
 * @property {Record<string, Spread>} ratios   next to the original's in the same round
 * @property {Record<string, Spread>} smaller   its values at the size before, if it took part
 * @property {number} rounds
 * @property {string[]} failures   of the rounds that have no figures, why
 * @typedef {{ median: number, low: number, high: number, all: number[] }} Spread
 */
function summarize(workload, samples) {
  const sizes = workload.sizes.map((size) => {
    const ofSize = samples.filter((sample) => sample.size === size)
    const rows = workload.contenders.map((contender) => {
      const own = ofSize.filter((sample) => sample.contender === contender)
      return own.length > 0 && toRow(own, ofSize)
    })
    return { size, rows: rows.filter(Boolean) }
  })
  sizes.forEach(({ rows }, index) => {
    for (const row of rows) row.smaller = valuesOf(row.contender, sizes[index - 1])
  })
  return sizes.filter(({ rows }) => rows.length > 0)
}

function valuesOf(contender, { rows } = { rows: [] }) {
  return rows.find((row) => row.contender === contender)?.values ?? {}
}

function toRow(own, ofSize) {
  const measured = own.filter(({ failed }) => failed === undefined)
  const { name = own[0].contender } = measured[0] ?? {}
  const failures = own.map(({ failed }) => failed).filter((failed) => failed !== undefined)
  const row = {
    contender: own[0].contender,
    name,
    values: {},
    ratios: {},
    rounds: own.length,
    failures,
  }

  const { round, size, contender, name: _name, ...figures } = measured[0] ?? {}
  for (const figure of Object.keys(figures)) {
    row.values[figure] = spreadOf(measured, (sample) => sample[figure])
    row.ratios[figure] = spreadOf(measured, (sample) =>
      nextToOther(sample, figure, ofSize, ORIGINAL),
    )
  }
  return row
}

/** How many times another's figure in the same round; undefined without that. */
function nextToOther(sample, figure, ofSize, other) {
  const rival = ofSize.find(({ round, contender }) => round === sample.round && contender === other)
  return rival && sample[figure] / rival[figure]
}

/** Undefined where nothing is known. */
function spreadOf(samples, read) {
  const all = samples.map(read).filter(Number.isFinite)
  return all.length > 0 ? { ...spread(all), all } : undefined
}

module.exports = { summarize, nextToOther, spreadOf }
