'use strict'

/**
 * Measures all contenders in rounds, each contender once per round and size: what disturbs the
 * machine for a while disturbs them alike, so that their ratios within a round mean something.
 *
 * @param {object} redis   a server, see `__test__/support/redis.js`
 * @param {import('./workloads/index.js').Workload} workload
 * @param {Plan} plan
 * @param {(round: number) => void} onRound   called when a round begins
 * @returns {Promise<Sample[]>}
 *
 * @typedef {object} Plan
 * @property {string[]} contenders
 * @property {number[]} sizes
 * @property {number} rounds
 * @property {number} [seconds]   per contender, size and round
 *
 * @typedef {object} Sample   what one contender did in one round at one size, by figure, and
 * @property {number} round
 * @property {number} size
 * @property {string} contender
 * @property {string} [name]
 * @property {string} [failed]   why there are no figures
 */
async function measureInRounds(redis, workload, plan, onRound) {
  const samples = []
  for (let round = 1; round <= plan.rounds; round++) {
    onRound(round)
    const measured = await workload.measureRound(redis, { ...plan, round })
    samples.push(...measured.map((sample) => ({ round, ...sample })))
  }
  return samples
}

/**
 * One contender after the other at each size.
 *
 * @param {(contender: string, size: number) => Promise<object | undefined>} measureOne   whose failure becomes
 *   a sample like any other; undefined: it takes no part at this size
 */
async function eachInTurn({ contenders, sizes, round }, measureOne) {
  const samples = []
  for (const size of sizes) {
    for (const contender of rotated(contenders, round)) {
      const figures = await attempt(() => measureOne(contender, size))
      if (figures !== undefined) samples.push({ size, contender, ...figures })
    }
  }
  return samples
}

/** What `work` returns, or why it failed. */
async function attempt(work) {
  try {
    return await work()
  } catch (error) {
    return { failed: error.message }
  }
}

/** The same order, begun at another place: nobody always comes first. */
function rotated(items, by) {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

module.exports = { measureInRounds, eachInTurn, attempt }
