'use strict'

const { Racer } = require('./racer.js')
const { countCommands, serverCpuTime } = require('./server-cost.js')

/** What is measured: how many locks are under way at once. */
const WORKLOADS = [1, 100, 1000]

/** How long a contender runs before it counts, in parts of the time it is measured. */
const WARM_UP = 0.4

/**
 * Measures all contenders in rounds, each contender once per round and workload: what disturbs the
 * machine for a while disturbs them alike, so that their ratios within a round mean something.
 *
 * @param {object} redis   a server, see `__test__/support/redis.js`
 * @param {{ contenders: string[], rounds: number, seconds: number }} options
 * @param {(round: number) => void} onRound   called when a round begins
 * @returns {Promise<Sample[]>}
 *
 * @typedef {import('./measure.js').Slice & { round: number, inFlight: number, contender: string,
 *   name: string, serverCpu: number, commands: number }} Sample
 *   `serverCpu` is microseconds per lock, `commands` how many were sent per lock
 */
async function measureInRounds(redis, options, onRound) {
  const samples = []
  for (let round = 1; round <= options.rounds; round++) {
    onRound(round)
    samples.push(...(await measureRound(redis, options, round)))
  }
  return samples
}

async function measureRound(redis, { contenders, seconds }, round) {
  // New processes each round: luck in the layout of memory or the compiler's mood does not last.
  const racers = contenders.map((file) => new Racer(file, redis.url))
  try {
    await Promise.all(racers.map((racer) => racer.open()))
    await warmUp(racers, seconds * WARM_UP)
    const samples = []
    for (const inFlight of WORKLOADS) {
      for (const racer of rotated(racers, round)) {
        const figures = await measureOne(redis, racer, { inFlight, seconds })
        samples.push({ round, inFlight, contender: racer.file, name: racer.name, ...figures })
      }
    }
    await Promise.all(racers.map((racer) => racer.close()))
    return samples
  } finally {
    for (const racer of racers) racer.kill()
  }
}

async function warmUp(racers, seconds) {
  for (const racer of racers) {
    for (const inFlight of WORKLOADS) {
      await racer.measure({ inFlight, seconds: seconds / WORKLOADS.length })
    }
  }
}

async function measureOne(redis, racer, workload) {
  const before = await serverCpuTime(redis)
  const slice = await racer.measure(workload)
  const serverCpu = ((await serverCpuTime(redis)) - before) / slice.locks

  const locks = workload.inFlight * 2
  const commands = await countCommands(redis, () => racer.run({ ...workload, locks }))
  return { ...slice, serverCpu, commands: commands / locks }
}

/** The same order, begun at another place: nobody always comes first. */
function rotated(items, by) {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

module.exports = { measureInRounds, WORKLOADS }
