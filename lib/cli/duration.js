'use strict'

const { UsageError } = require('./errors.js')

const UNITS = { ms: 1, s: 1000, m: 60 * 1000, h: 60 * 60 * 1000, d: 24 * 60 * 60 * 1000 }

/** The longest time a timer of Node can count; anything longer would be no time at all. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * A duration in milliseconds from words like `500ms`, `30s`, `1.5m`, `2h`, `1d`; `0` needs no unit.
 * `forever` is Infinity where that is `allowed`.
 *
 * @param {string} name   of the option, for the error
 * @param {string} text
 */
function duration(name, text, { forever = false, least = 0 } = {}) {
  if (forever && text === 'forever') return Infinity
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? []
  const milliseconds = Math.round(Number(number) * (UNITS[unit] ?? 1))
  const isKnown = number !== undefined && (unit !== undefined || Number(number) === 0)
  if (isKnown && milliseconds >= least) return milliseconds

  const examples = ['500ms', '30s', '5m', ...(forever ? ['forever'] : [])]
  const most = least > 0 ? `, of ${inWords(least)} or more` : ''
  throw new UsageError(
    `Expected --${name} to be a duration such as ${examples.join(', ')}${most}; got ${JSON.stringify(text)}`,
  )
}

/** A duration as people read it: `340 ms`, `12.5 s`, `4 m 10 s`. */
function inWords(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 60_000) return `${Math.floor(milliseconds / 100) / 10} s`
  const seconds = Math.floor(milliseconds / 1000)
  const parts = [
    [Math.floor(seconds / 86400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

module.exports = { LONGEST_TIMER, duration, inWords }
