'use strict'

/**
 * Measures all contenders in rounds, each contender once per round and size: what disturbs the
 * machine for a while disturbs them alike, so that their ratios within a round mean something.
 *
 * @param {object} redis   a server, see `__test__/support/redis.js`
 * @param {import('./workloads/index.js').Workload} workload
 * @param {{ contenders: string[], rounds: number, seconds?: number }} plan
 * @param {(round: number) => void} onRound   called when a round begins
 * @returns {Promise<Sample[]>}
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
 * @param {(contender: string, size: number) => Promise<object>} measureOne   whose failure becomes
 *   a sample like any other
 */
async function eachInTurn(sizes, { contenders, round }, measureOne) {
  const samples = []
  for (const size of sizes) {
    for (const contender of rotated(contenders, round)) {
      samples.push({ size, contender, ...(await attempt(() => measureOne(contender, size))) })
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
