'use strict'

const { CONTENDERS, PEERS } = require('../contenders/index.js')
const { Racer } = require('../racer.js')
const { value, ratio } = require('../report/columns.js')
const { attempt, eachInTurn } = require('../rounds.js')
const { countCommands, serverCpuTime } = require('../server-cost.js')

/** How many locks are under way at once. */
const SIZES = [1, 100, 1000]

/** How long a contender runs before it counts, in parts of the time it is measured. */
const WARM_UP = 0.4

/** What a lock costs that nobody else wants. */
module.exports = {
  name: 'free',
  title: 'Free locks',
  legend: `Per acquire + release, medians of the rounds; each lock on a resource of its own.
ratio: next to the original in the same round, and where the middle half of the rounds lies.
JS µs: processor time of the thread that runs JavaScript; process µs: of all its threads;
Redis µs: of the server. commands: sent to the server, however many a script then calls.`,
  contenders: CONTENDERS.filter((file) => !PEERS.includes(file)),
  sizes: SIZES,
  sizeTitle: (size) => `${size} in flight`,
  full: { rounds: 7, seconds: 0.7 },
  quick: { rounds: 3, seconds: 0.25 },
  measureRound,
  columns: [
    value('locks/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
    ratio('rate'),
    value('p50 ms', 'p50', (number) => number.toPrecision(3)),
    ratio('p50'),
    value('p99 ms', 'p99', (number) => number.toPrecision(3)),
    value('JS µs', 'threadCpu', (number) => number.toFixed(1)),
    ratio('threadCpu'),
    value('process µs', 'processCpu', (number) => number.toFixed(1)),
    value('Redis µs', 'serverCpu', (number) => number.toFixed(1)),
    value('commands', 'commands', (number) => number.toFixed(2)),
  ],
}

async function measureRound(redis, plan) {
  const { contenders, seconds } = plan
  // New processes each round: luck in the layout of memory or the compiler's mood does not last.
  const racers = new Map(contenders.map((file) => [file, new Racer(file, redis.url)]))
  try {
    const readiness = await getReady(racers, seconds * WARM_UP)
    const samples = await eachInTurn(SIZES, plan, async (contender, inFlight) => {
      const { failed } = readiness.get(contender)
      if (failed) throw new Error(failed)
      return measureOne(redis, racers.get(contender), { inFlight, seconds })
    })
    for (const racer of racers.values()) await attempt(() => racer.close())
    return samples
  } finally {
    await Promise.all([...racers.values()].map((racer) => racer.kill()))
  }
}

/** Connects them all, then warms up one after the other; answers who failed at it. */
async function getReady(racers, seconds) {
  const readiness = new Map()
  for (const [file, racer] of racers) {
    const outcome = await attempt(async () => {
      await racer.open()
      for (const inFlight of SIZES) {
        await racer.ask('measure', { inFlight, seconds: seconds / SIZES.length })
      }
      return {}
    })
    readiness.set(file, outcome)
  }
  return readiness
}

async function measureOne(redis, racer, workload) {
  const before = await serverCpuTime(redis)
  const slice = await racer.ask('measure', workload)
  const serverCpu = ((await serverCpuTime(redis)) - before) / slice.locks

  const locks = workload.inFlight * 2
  const commands = await countCommands(redis, () => racer.ask('run', { ...workload, locks }))
  return { name: racer.name, ...slice, serverCpu, commands: commands / locks }
}
