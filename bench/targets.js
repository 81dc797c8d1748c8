'use strict'

/**
 * What this package promises next to the original, measured in the same run.
 *
 * @typedef {{ says: string, inFlight: number, figure: string, most?: number, least?: number }} Target
 */
const TARGETS = [
  { says: 'latency (p50) with 1 in flight', inFlight: 1, figure: 'p50', most: 1.2 },
  { says: 'locks/s with 100 in flight', inFlight: 100, figure: 'rate', least: 1.7 },
  { says: 'locks/s with 1000 in flight', inFlight: 1000, figure: 'rate', least: 2 },
  { says: 'JS thread per lock with 100 in flight', inFlight: 100, figure: 'threadCpu', most: 0.25 },
  {
    says: 'JS thread per lock with 1000 in flight',
    inFlight: 1000,
    figure: 'threadCpu',
    most: 0.25,
  },
]

/**
 * How the targets fare.
 *
 * @param {import('./summary.js').Workload[]} workloads
 * @returns {(Target & { ratio: import('./summary.js').Spread, isMet: boolean })[]}   those measured
 */
function judge(workloads) {
  return TARGETS.flatMap((target) => {
    const workload = workloads.find(({ inFlight }) => inFlight === target.inFlight)
    const row = workload.rows.find(({ contender }) => contender === 'dist-lock')
    const ratio = row?.ratios[target.figure]
    if (!ratio) return []

    const { most = Infinity, least = 0 } = target
    return [{ ...target, ratio, isMet: ratio.median <= most && ratio.median >= least }]
  })
}

module.exports = { judge }
