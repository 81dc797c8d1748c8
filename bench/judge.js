'use strict'

const { OURS, ORIGINAL, PEERS } = require('./contenders/index.js')
const { nextToOther, spreadOf } = require('./summary.js')
const { TARGETS, BEST } = require('./targets.js')

/**
 * How the targets of a workload fare.
 *
 * @param {import('./workloads/index.js').Workload} workload
 * @param {import('./rounds.js').Sample[]} samples
 * @returns {Verdict[]}   of what was measured
 *
 * @typedef {import('./targets.js').Target & { size: number, beside?: string, isMet: boolean,
 *   result?: import('./summary.js').Spread, failures: number }} Verdict   `beside` is the name of who
 *   it was compared with; `result` is absent when all rounds failed
 */
function judge(workload, samples) {
  const targets = TARGETS.filter((target) => target.workload === workload.name)
  return targets.flatMap((target) =>
    workload.sizes
      .filter((size) => target.size === undefined || target.size === size)
      .flatMap((size) => judgeOne(target, size, samples)),
  )
}

function judgeOne(target, size, samples) {
  const ofSize = samples.filter((sample) => sample.size === size)
  const own = ofSize.filter(({ contender }) => contender === (target.whose ?? OURS))
  const other = target.nextTo === BEST ? bestOther(target, ofSize) : target.nextTo
  const rival = ofSize.find(({ contender, name }) => contender === other && name !== undefined)
  if (own.length === 0 || (target.nextTo && !rival)) return []

  const measured = own.filter(({ failed }) => failed === undefined)
  const failures = own.length - measured.length
  const result = spreadOf(measured, (sample) =>
    rival ? nextToOther(sample, target.figure, ofSize, other) : sample[target.figure],
  )
  const isMet = failures === 0 && result !== undefined && isWithin(target, result)
  return [{ ...target, size, beside: rival?.name, result, failures, isMet }]
}

/** Whose median is the best; not the best of each round, which would be that of the luckiest. */
function bestOther({ figure, most }, samples) {
  const sign = most === undefined ? -1 : 1
  const [best] = [ORIGINAL, ...PEERS]
    .map((contender) => {
      const own = samples.filter((sample) => sample.contender === contender)
      return { contender, spread: spreadOf(own, (sample) => sample[figure]) }
    })
    .filter(({ spread }) => spread !== undefined)
    .sort((one, two) => sign * (one.spread.median - two.spread.median))
  return best?.contender
}

function isWithin({ most = Infinity, least = -Infinity, always }, { median, all }) {
  return (always ? all : [median]).every((value) => value <= most && value >= least)
}

module.exports = { judge }
