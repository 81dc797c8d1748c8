'use strict'

const { CONTENDERS, ORIGINAL } = require('./contenders/index.js')
const { WORKLOADS } = require('./rounds.js')
const { spread } = require('./statistics.js')

const FIGURES = ['rate', 'p50', 'p99', 'threadCpu', 'processCpu', 'serverCpu', 'commands']

/**
 * From the samples of all rounds to what the tables show.
 *
 * @param {import('./rounds.js').Sample[]} samples
 * @returns {Workload[]}
 *
 * @typedef {{ inFlight: number, rows: Row[] }} Workload
 * @typedef {object} Row
 * @property {string} contender
 * @property {string} name
 * @property {Record<string, Spread>} values   by figure; one that the system does not tell is absent
 * @property {Record<string, Spread>} ratios   the same next to the original, of each round by itself
 * @typedef {{ median: number, low: number, high: number }} Spread
 */
function summarize(samples) {
  return WORKLOADS.map((inFlight) => {
    const ofWorkload = samples.filter((sample) => sample.inFlight === inFlight)
    const originals = ofWorkload.filter((sample) => sample.contender === ORIGINAL)
    const rows = CONTENDERS.map((contender) => {
      const own = ofWorkload.filter((sample) => sample.contender === contender)
      return own.length > 0 && toRow(own, originals)
    })
    return { inFlight, rows: rows.filter(Boolean) }
  })
}

function toRow(own, originals) {
  const row = { contender: own[0].contender, name: own[0].name, values: {}, ratios: {} }
  for (const figure of FIGURES) {
    if (own[0][figure] === undefined) continue
    row.values[figure] = spread(own.map((sample) => sample[figure]))
    row.ratios[figure] = spread(
      own.map((sample) => sample[figure] / inRound(originals, sample.round)[figure]),
    )
  }
  return row
}

function inRound(samples, round) {
  return samples.find((sample) => sample.round === round)
}

module.exports = { summarize }
