'use strict'

const fs = require('node:fs')
const path = require('node:path')

const RESULTS = path.join(__dirname, '..', 'results')
const FILE = path.join(RESULTS, 'latest.json')

/** Digits that are kept: more than the noise leaves. */
const DIGITS = 5

/**
 * What was measured of one workload. All that is shown comes from the samples.
 *
 * @typedef {object} Run
 * @property {object} machine   see `machine.js`
 * @property {import('../rounds.js').Plan} plan
 * @property {number} took   seconds
 * @property {import('../rounds.js').Sample[]} samples
 */

/** What was saved last, by workload. @returns {Record<string, Run>} */
function readRuns() {
  return fs.existsSync(FILE) ? JSON.parse(fs.readFileSync(FILE, 'utf8')) : {}
}

/** A line for each sample. */
function writeRuns(runs) {
  const workloads = Object.entries(runs).map(([name, { samples, ...run }]) => {
    const lines = samples.map((sample) => JSON.stringify(sample, rounded))
    const head = JSON.stringify(run).slice(1, -1)
    return `${JSON.stringify(name)}: {${head}, "samples": [\n${lines.join(',\n')}\n]}`
  })
  fs.writeFileSync(FILE, `{\n${workloads.join(',\n')}\n}\n`)
}

function rounded(_, value) {
  return typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value
}

module.exports = { RESULTS, readRuns, writeRuns }
