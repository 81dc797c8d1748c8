'use strict'

const { times, withNoise } = require('./columns.js')

const NEXT_TO = { original: '× the original', best: '× the best other' }

/** A line for each target. */
function verdicts(workload, judged) {
  return judged.map(({ isMet, ...verdict }) => `${isMet ? '✓' : '✗'} ${line(workload, verdict)}`)
}

function line(workload, { says, size, nextTo, result, failures, most, least, always }) {
  const unit = nextTo ? ` ${NEXT_TO[nextTo]}` : ''
  const figure = result ? withUnit(result, nextTo, unit) : 'no figure'
  const failed = failures > 0 ? `; failed in ${failures} rounds` : ''
  const bound = most === undefined ? `at least ${plain(least)}` : `at most ${plain(most)}`
  const when = always ? ' in every round' : ''
  return `${workload.sizeTitle(size)}: ${says} ${figure}${failed}, wanted ${bound}${when}`
}

function withUnit(result, nextTo, unit) {
  return nextTo ? times(result) + unit : withNoise(result, plain)
}

function plain(number) {
  return number.toLocaleString('en', { maximumSignificantDigits: 3 })
}

module.exports = { verdicts }
