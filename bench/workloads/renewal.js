'use strict'

const { OURS, RENEWING } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { growth, value } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')
const { measureServer } = require('../server-cost.js')

/** How long the locks live when they are not renewed, in milliseconds. */
const TTL = 5000

/** What is compared; at the other sizes this package shows how it grows. */
const COMPARED = 10_000

/** Enough to have all memory that any of them needs to begin with. */
const WARM_UP = { inFlight: 1000 }

const DIGITS = { maximumSignificantDigits: 3 }

/** What it costs to keep locks alive. */
module.exports = {
  name: 'renewal',
  title: 'Renewal of held locks',
  legend: `Locks of one process with a ttl of ${TTL / 1000} s, all of them renewed by their library until they are
released, at the times it thinks best. Only libraries that renew. kept: the share that is still
there after a ttl. commands/s and kB/s: to the server, and to and from it. JS, process, Redis:
shares of a processor. p99, longest: delay of the event loop meanwhile, see there. bytes: resident
memory per lock. growth: how many times as much as for a tenth as many locks.`,
  contenders: [OURS, ...RENEWING],
  sizes: [1000, 10_000, 100_000],
  sizeTitle: (size) => `${size.toLocaleString('en')} locks`,
  full: { rounds: 2, seconds: 5 },
  quick: { rounds: 1, seconds: 5 },
  pictures: [
    {
      file: 'renewal',
      title: 'Keeping many locks alive',
      subtitle: `Renewed with a ttl of ${TTL / 1000} s; grey: the other libraries; dashed: ten times as much for ten times as many`,
      panels: [
        { title: 'Processor time of the process', figure: 'processCpu', format: percent },
        { title: 'Processor time of Redis', figure: 'serverCpu', format: percent },
      ],
    },
  ],
  measureRound: (redis, plan) =>
    eachInTurn(plan, (contender, count) => measureOne(redis, contender, count, plan)),
  columns: [
    value('kept', 'kept', (share) => `${Math.floor(share * 1000) / 10} %`),
    value('commands/s', 'commands', (number) => number.toLocaleString('en', DIGITS)),
    value('kB/s', 'bytes', (number) => (number / 1000).toLocaleString('en', DIGITS)),
    value('JS', 'threadCpu', percent),
    value('process', 'processCpu', percent),
    growth('processCpu'),
    value('Redis', 'serverCpu', percent),
    growth('serverCpu'),
    value('p99 ms', 'p99', (number) => number.toPrecision(3)),
    value('longest ms', 'longest', (number) => number.toPrecision(3)),
    value('bytes', 'memory', (number) => Math.round(number).toLocaleString('en')),
  ],
}

function measureOne(redis, contender, count, { seconds }) {
  if (count !== COMPARED && contender !== OURS) return undefined

  return withRacers(redis, contender, 1, async ([holder]) => {
    await holder.ask('run', WARM_UP)
    const before = await holder.ask('stock')
    await holder.ask('holdMany', { count, ttl: TTL })
    const after = await holder.ask('stock')
    const { result, cpu, bytes, scripts } = await measureServer(redis, () =>
      holder.ask('idle', { seconds }),
    )
    return {
      ...result,
      kept: (await countLocks(redis)) / count,
      // They all renew by scripts.
      commands: scripts / seconds,
      bytes: bytes / seconds,
      serverCpu: cpu / 1e6 / seconds,
      memory: (after.all - before.all) / count,
    }
  })
}

/** The keys that name a resource: some libraries have others besides. */
async function countLocks(redis) {
  const keys = await redis.command('KEYS', '*bench:*')
  return keys.filter((key) => /bench:\d+$/.test(key)).length
}

function percent(share) {
  return `${(share * 100).toPrecision(2)} %`
}
