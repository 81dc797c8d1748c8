'use strict'

const { times, withNoise } = require('./columns.js')

/** A line for each target. */
function verdicts(workload, judged) {
  return judged.map(({ isMet, ...verdict }) => `${isMet ? '✓' : '✗'} ${line(workload, verdict)}`)
}

function line(workload, { says, size, beside, result, failures, most, least, always }) {
  const figure = result ? shown(result, beside) : 'no figure'
  const failed = failures > 0 ? `; failed in ${failures} rounds` : ''
  const bound = most === undefined ? `at least ${plain(least)}` : `at most ${plain(most)}`
  const when = always ? ' in every round' : ''
  return `${workload.sizeTitle(size)}: ${says} ${figure}${failed}; wanted ${bound}${when}`
}

function shown(result, beside) {
  return beside ? `${times(result)} × ${beside}` : withNoise(result, plain)
}

function plain(number) {
  return number.toLocaleString('en', { maximumSignificantDigits: 3 })
}

module.exports = { verdicts }
