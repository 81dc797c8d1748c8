'use strict'

const { OURS, ORIGINAL, PEERS } = require('./contenders/index.js')
const { nextToOriginal, spreadOf } = require('./summary.js')

/**
 * What this package promises, measured in one run with the others.
 *
 * @typedef {object} Target
 * @property {string} says
 * @property {string} workload
 * @property {number} [size]   every one of the workload's where there is none
 * @property {string} figure
 * @property {'original' | 'best'} [nextTo]   the figure as a multiple of the original's, or of that
 *   of the best other library, in the same round; otherwise the figure itself
 * @property {number} [most]
 * @property {number} [least]
 * @property {boolean} [always]   in every round; otherwise the median of the rounds
 */

/** @type {Target[]} */
const TARGETS = [
  ...beside('original', 'free', [
    { says: 'latency (p50)', size: 1, figure: 'p50', most: 1.2 },
    { says: 'locks/s', size: 100, figure: 'rate', least: 1.7 },
    { says: 'locks/s', size: 1000, figure: 'rate', least: 2 },
    { says: 'JS thread per lock', size: 100, figure: 'threadCpu', most: 0.25 },
    { says: 'JS thread per lock', size: 1000, figure: 'threadCpu', most: 0.25 },
  ]),
  { says: 'grants/s', workload: 'crowd', figure: 'rate', least: 15_000 },
  { says: 'hand-off p50 in ms', workload: 'crowd', figure: 'p50', most: 0.1 },
  { says: 'commands per grant', workload: 'crowd', figure: 'commands', most: 1.2 },
  {
    says: 'share that jumped the queue',
    workload: 'crowd',
    figure: 'jumped',
    most: 0,
    always: true,
  },
  ...beside('original', 'processes', [{ says: 'grants/s', figure: 'rate', least: 0.9 }]),
  { says: "Jain's index", workload: 'processes', figure: 'jain', least: 0.99 },
  ...beside('best', 'processes', [{ says: 'owner changes/s', figure: 'changes', least: 2 }]),
  { says: 'longest wait in fair turns', workload: 'processes', figure: 'longestWait', most: 3 },
  { says: 'commands/s', workload: 'idle', figure: 'commands', most: 5 },
  { says: 'ms from release to the lock', workload: 'idle', figure: 'wake', most: 1.5 },
  { says: 'taken by another', workload: 'blocked', figure: 'isTaken', most: 0, always: true },
  { says: 'still held', workload: 'blocked', figure: 'saysHeld', least: 1, always: true },
  {
    says: 'ms remaining right after',
    workload: 'blocked',
    figure: 'remaining',
    least: 1,
    always: true,
  },
]

function beside(nextTo, workload, targets) {
  return targets.map((target) => ({ ...target, workload, nextTo }))
}

/**
 * How the targets of a workload fare.
 *
 * @param {import('./workloads/index.js').Workload} workload
 * @param {import('./rounds.js').Sample[]} samples
 * @returns {Verdict[]}   of what was measured
 *
 * @typedef {Target & { size: number, result?: import('./summary.js').Spread, failures: number,
 *   isMet: boolean }} Verdict   `result` is absent when all rounds failed
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
  const own = ofSize.filter(({ contender }) => contender === OURS)
  const canCompare = {
    original: ofSize.some(({ contender }) => contender === ORIGINAL),
    best: ofSize.some(isOfAnother),
    undefined: true,
  }
  if (own.length === 0 || !canCompare[target.nextTo]) return []

  const measured = own.filter(({ failed }) => failed === undefined)
  const failures = own.length - measured.length
  const result = spreadOf(measured, (sample) => compared(sample, target, ofSize))
  const isMet = failures === 0 && result !== undefined && isWithin(target, result)
  return [{ ...target, size, result, failures, isMet }]
}

function isWithin({ most = Infinity, least = -Infinity, always }, { median, all }) {
  return (always ? all : [median]).every((value) => value <= most && value >= least)
}

function compared(sample, { figure, nextTo, most }, ofSize) {
  if (nextTo === undefined) return sample[figure]
  if (nextTo === 'original') return nextToOriginal(sample, figure, ofSize)

  const others = ofSize
    .filter((other) => other.round === sample.round && isOfAnother(other))
    .map((other) => other[figure])
    .filter(Number.isFinite)
  return sample[figure] / (most === undefined ? Math.max(...others) : Math.min(...others))
}

/** Whether it is of another library; version 2 is one. */
function isOfAnother({ contender }) {
  return contender === ORIGINAL || PEERS.includes(contender)
}

module.exports = { judge }
