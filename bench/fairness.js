'use strict'

const { quantile } = require('./statistics.js')

/**
 * What became of a lock that several processes wanted.
 *
 * @param {{ turns: Float64Array, waitingSince?: number }[]} logs   of each process, see
 *   `tasks/turns.js`
 * @param {{ begin: number, until: number }} window   what counts
 * @returns {Fairness}
 *
 * @typedef {object} Fairness
 * @property {number} rate   grants per second
 * @property {number} jain   Jain's index of the processes' numbers of grants
 * @property {number} changes   how often per second the lock went to another process
 * @property {number} longestWait   in fair turns
 * @property {number} longestWaitMs
 * @property {number} handoff   median milliseconds from the call of release to the next grant
 */
function fairness(logs, { begin, until }) {
  const all = logs.flatMap(toTurns).sort((one, other) => one.granted - other.granted)
  const pairs = all.slice(1).map((turn, index) => ({ turn, before: all[index] }))
  if (pairs.some(({ turn, before }) => turn.granted < before.released)) {
    throw new Error('two held the lock at once')
  }

  const isInside = ({ granted }) => granted >= begin && granted < until
  const turns = all.filter(isInside)
  if (turns.length === 0) throw new Error('nobody got the lock')

  const changes = pairs.filter(({ turn, before }) => {
    return isInside(turn) && turn.owner !== before.owner
  })
  const span = until - begin
  const pending = logs.map(({ waitingSince = until }) => until - waitingSince)
  const waits = turns.map(({ called, granted }) => granted - called)
  const longestWaitMs = [...waits, ...pending].reduce((a, b) => Math.max(a, b))
  const fairTurn = (logs.length * span) / turns.length
  return {
    rate: (turns.length / span) * 1000,
    jain: jain(logs.map((_, owner) => turns.filter((turn) => turn.owner === owner).length)),
    changes: (changes.length / span) * 1000,
    longestWait: longestWaitMs / fairTurn,
    longestWaitMs,
    handoff: changes.length > 0 ? quantile(changes.map(delay), 0.5) : undefined,
  }
}

function delay({ turn, before }) {
  return turn.granted - before.released
}

function toTurns({ turns }, owner) {
  return Array.from({ length: turns.length / 3 }, (_, index) => {
    const [called, granted, released] = turns.subarray(index * 3, index * 3 + 3)
    return { owner, called, granted, released }
  })
}

/** 1 for equal numbers, 1/n when all but one are 0. */
function jain(numbers) {
  const sum = (values) => values.reduce((a, b) => a + b, 0)
  return sum(numbers) ** 2 / (numbers.length * sum(numbers.map((number) => number ** 2)))
}

module.exports = { fairness }
