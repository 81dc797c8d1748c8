'use strict'

const { spawnSync } = require('node:child_process')
const os = require('node:os')
const { OURS, UPGRADED, ORIGINAL, FLOORS } = require('../contenders/index.js')
const { attempt } = require('../rounds.js')
const { COLUMNS, LEGEND, measureUncontended } = require('./uncontended.js')

/** The core on which everything runs. */
const CORE = '0'

const ALL_CORES = `0-${os.cpus().length - 1}`

/**
 * One lock at a time, with client and server on one core: without the luck of who is woken where,
 * what remains is the work.
 */
module.exports = {
  name: 'pinned',
  title: 'Free locks on one core',
  legend: `Client and server share one core, by taskset. ${LEGEND}`,
  contenders: [OURS, UPGRADED, ORIGINAL, ...FLOORS],
  sizes: [1],
  sizeTitle: (size) => `${size} in flight`,
  full: { rounds: 9, seconds: 0.5 },
  quick: { rounds: 3, seconds: 0.25 },
  measureRound,
  columns: COLUMNS,
}

async function measureRound(redis, plan) {
  const { failed } = await attempt(() => pin(redis.pid, CORE) ?? {})
  if (failed) return plan.contenders.map((contender) => ({ size: 1, contender, failed }))
  try {
    return await measureUncontended(redis, plan, (racer) => pin(racer.pid, CORE))
  } finally {
    pin(redis.pid, ALL_CORES)
  }
}

/** All threads of a process; those it starts later stay with them. */
function pin(pid, cores) {
  const { error, status, stderr } = spawnSync('taskset', ['-acp', cores, `${pid}`])
  if (error || status !== 0) throw new Error(`taskset failed: ${error?.message ?? stderr}`)
}
