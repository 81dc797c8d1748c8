'use strict'

const { OURS, ORIGINAL } = require('./contenders/index.js')
const { readRuns } = require('./report/runs.js')
const { spreadOf, nextToOther } = require('./summary.js')

/**
 * Whether this package does as well as when the results were committed: next to the original in the
 * same round, so that another machine may judge, too. Says how each figure fares.
 *
 * @param {import('./workloads/index.js').Workload} workload   `check.figures` are compared
 * @param {import('./report/runs.js').Run} run   what was measured now
 * @returns {boolean}
 */
function compareWithCommitted(workload, run) {
  const committed = readRuns()[workload.name]
  const failed = run.samples.filter((sample) => sample.failed !== undefined)
  for (const { contender, size, failed: reason } of failed) {
    console.log(`✗ ${workload.sizeTitle(size)}: ${contender} failed: ${reason}`)
  }
  const results = run.plan.sizes.flatMap((size) =>
    workload.check.figures.map((figure) => compareOne(workload, size, figure, run, committed)),
  )
  return failed.length === 0 && results.every(Boolean)
}

function compareOne(workload, size, { figure, says, isBetter }, run, committed) {
  const now = ratios(run, size, figure)
  const then = committed && ratios(committed, size, figure)
  const title = `${workload.sizeTitle(size)}: ${says}`
  if (now === undefined || then === undefined) {
    console.log(`– ${title}: ${then ? 'no figure' : 'nothing committed'} to compare`)
    return now !== undefined
  }
  const noise = now.high - now.low + (then.high - then.low)
  const worse = isBetter === 'less' ? now.median - then.median : then.median - now.median
  const isFine = worse <= noise
  const text = [now, then, { median: noise }].map(({ median }) => median.toFixed(2))
  console.log(
    `${isFine ? '✓' : '✗'} ${title} ${text[0]} × the original; committed ${text[1]}, noise ${text[2]}`,
  )
  return isFine
}

function ratios({ samples }, size, figure) {
  const ofSize = samples.filter((sample) => sample.size === size && sample.failed === undefined)
  const own = ofSize.filter(({ contender }) => contender === OURS)
  return spreadOf(own, (sample) => nextToOther(sample, figure, ofSize, ORIGINAL))
}

module.exports = { compareWithCommitted }
