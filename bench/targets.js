'use strict'

const { OURS, SHARED, PERMITS, ORIGINAL, BARE } = require('./contenders/index.js')

/**
 * What this package promises, measured in one run with the others. What is missed stays here.
 *
 * @typedef {object} Target
 * @property {string} says
 * @property {string} workload
 * @property {number} [size]   every one of the workload's where there is none
 * @property {string} figure
 * @property {string} [whose]   the contender that is to reach it, where that is not `OURS`
 * @property {string} [nextTo]   the figure as a multiple of this contender's in the same round, or
 *   of the best other library's: `BEST`; the figure itself where there is none
 * @property {number} [most]
 * @property {number} [least]
 * @property {boolean} [always]   in every round; otherwise the median of the rounds
 */

const BEST = 'best'

/** @type {Target[]} */
const TARGETS = [
  ...of('free', [
    { says: 'latency (p50)', size: 1, figure: 'p50', nextTo: ORIGINAL, most: 1.1 },
    { says: 'process CPU per lock', figure: 'processCpu', nextTo: ORIGINAL, most: 1.3 },
    { says: 'p99', figure: 'p99', nextTo: BEST, most: 1 },
    { says: 'locks/s', size: 100, figure: 'rate', nextTo: ORIGINAL, least: 2.5 },
    { says: 'locks/s', size: 100, figure: 'rate', nextTo: BEST, least: 1.4 },
    { says: 'locks/s', size: 1000, figure: 'rate', nextTo: ORIGINAL, least: 4 },
    { says: 'locks/s', size: 1000, figure: 'rate', nextTo: BEST, least: 3 },
    { says: 'locks/s', size: 1000, figure: 'rate', nextTo: BARE, least: 0.8 },
    ...[100, 1000].flatMap((size) => [
      { says: 'JS thread per lock', size, figure: 'threadCpu', nextTo: ORIGINAL, most: 0.2 },
      { says: 'JS thread per lock', size, figure: 'threadCpu', nextTo: BEST, most: 0.4 },
    ]),
  ]),
  ...of('pinned', [{ says: 'latency (p50)', figure: 'p50', nextTo: 'ioredis', most: 1.25 }]),
  ...of('loop', [{ says: 'delay (p99)', figure: 'p99', nextTo: BEST, most: 1 }]),
  ...of('crowd', [
    { says: 'grants/s', figure: 'rate', least: 15_000 },
    { says: 'hand-off p50 in ms', figure: 'p50', most: 0.1 },
    { says: 'commands per grant', figure: 'commands', most: 1.2 },
    { says: 'share that jumped the queue', figure: 'jumped', most: 0, always: true },
  ]),
  ...of('crowd-pinned', [
    { says: 'grants/s', figure: 'rate', least: 15_000 },
    { says: 'hand-off p50 in ms', figure: 'p50', most: 0.1 },
  ]),
  ...of('processes', [
    { says: 'grants/s', figure: 'rate', nextTo: ORIGINAL, least: 0.9 },
    { says: "Jain's index", figure: 'jain', least: 0.99 },
    { says: 'owner changes/s', figure: 'changes', nextTo: BEST, least: 2 },
    { says: 'longest wait in fair turns', figure: 'longestWait', most: 3 },
  ]),
  ...of('shared', [
    { says: 'grants/s of readers', whose: SHARED, figure: 'rate', nextTo: OURS, least: 2 },
    { says: 'grants/s of 10 permits', whose: PERMITS, size: 1, figure: 'rate', least: 10_000 },
  ]),
  ...of('idle', [
    { says: 'commands/s', figure: 'commands', most: 5 },
    { says: 'ms from release to the lock', figure: 'wake', most: 1.5 },
  ]),
  ...of('blocked', [
    { says: 'taken by another', figure: 'isTaken', most: 0, always: true },
    { says: 'still held', figure: 'saysHeld', least: 1, always: true },
    { says: 'ms remaining right after', figure: 'remaining', least: 1, always: true },
  ]),
  ...of('renewal', [
    { says: 'share that is kept', figure: 'kept', least: 1, always: true },
    { says: 'process CPU', size: 10_000, figure: 'processCpu', nextTo: BEST, most: 1 },
    { says: 'event-loop delay (p99)', size: 10_000, figure: 'p99', nextTo: BEST, most: 1 },
  ]),
  ...of('memory', [
    { says: 'bytes per waiter in Rust', size: 100_000, figure: 'waiterNative', most: 250 },
    { says: 'bytes per waiter beyond its promise', size: 100_000, figure: 'beyond', most: 600 },
  ]),
]

function of(workload, targets) {
  return targets.map((target) => ({ ...target, workload }))
}

module.exports = { TARGETS, BEST }
