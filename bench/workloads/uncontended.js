'use strict'

const { Racer } = require('../racer.js')
const { value, ratio } = require('../report/columns.js')
const { attempt, eachInTurn } = require('../rounds.js')
const { countCommands, measureServer } = require('../server-cost.js')
const { WARM_UP } = require('../warm-up.js')

const LEGEND = `Per acquire + release, medians of the rounds; each lock on a resource of its own.
ratio: next to the original in the same round, and where the middle half of the rounds lies.
JS µs: processor time of the thread that runs JavaScript; process µs: of all its threads;
Redis µs: of the server. commands: sent to the server, however many a script then calls; bytes: to
and from it. RSS: memory of the process.`

const COLUMNS = [
  value('locks/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
  ratio('rate'),
  value('p50 ms', 'p50', (number) => number.toPrecision(3)),
  ratio('p50'),
  value('p99 ms', 'p99', (number) => number.toPrecision(3)),
  value('JS µs', 'threadCpu', (number) => number.toFixed(1)),
  ratio('threadCpu'),
  value('process µs', 'processCpu', (number) => number.toFixed(1)),
  ratio('processCpu'),
  value('Redis µs', 'serverCpu', (number) => number.toFixed(1)),
  value('commands', 'commands', (number) => number.toFixed(2)),
  value('bytes', 'bytes', (number) => number.toFixed(0)),
  value('RSS MB', 'rss', (number) => (number / 1e6).toFixed(0)),
]

/** Above this many in flight commands are not counted: MONITOR would take longer than the rest. */
const MOST_COUNTED = 1000

/**
 * A round of locks that nobody else wants, `plan.sizes` of them at a time.
 *
 * @param {(racer: Racer) => unknown} [prepare]   what is done to each process when it is open
 */
async function measureUncontended(redis, plan, prepare = () => {}) {
  const { contenders, seconds } = plan
  // New processes each round: luck in the layout of memory or the compiler's mood does not last.
  const racers = new Map(contenders.map((file) => [file, new Racer(file, redis.url)]))
  try {
    const readiness = new Map()
    for (const [file, racer] of racers) {
      readiness.set(file, await attempt(() => getReady(racer, plan, prepare)))
    }
    const samples = await eachInTurn(plan, async (contender, inFlight) => {
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

/** Connects and warms up. */
async function getReady(racer, { sizes }, prepare) {
  await racer.open()
  await prepare(racer)
  for (const inFlight of sizes) {
    await racer.ask('measure', { inFlight, seconds: WARM_UP / sizes.length })
  }
  return {}
}

async function measureOne(redis, racer, workload) {
  const slice = await measureServer(redis, () => racer.ask('measure', workload))
  const { locks } = slice.result
  const counted =
    workload.inFlight <= MOST_COUNTED
      ? await countCommands(redis, () => racer.ask('run', workload))
      : {}
  return {
    name: racer.name,
    ...slice.result,
    serverCpu: slice.cpu / locks,
    bytes: slice.bytes / locks,
    commands: counted.result && counted.commands / counted.result,
  }
}

module.exports = { LEGEND, COLUMNS, measureUncontended }
