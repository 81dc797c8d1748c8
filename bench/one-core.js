'use strict'

const { spawnSync } = require('node:child_process')
const os = require('node:os')
const { attempt } = require('./rounds.js')

/** The core on which everything runs. */
const CORE = '0'

const ALL_CORES = `0-${os.cpus().length - 1}`

/**
 * A round with client and server on one core: without the luck of who is woken where, and without the
 * sleep of a core that has nothing to do, what remains is the work.
 *
 * @param {object} redis
 * @param {import('./rounds.js').Plan} plan
 * @param {(stay: (racer: object) => void) => Promise<object[]>} measure   `stay` brings a process
 *   that is open to that core
 * @returns {Promise<object[]>} the samples of the round
 */
async function onOneCore(redis, plan, measure) {
  const { failed } = await attempt(() => pin(redis.pid, CORE) ?? {})
  if (failed) {
    const { sizes, contenders } = plan
    return sizes.flatMap((size) => contenders.map((contender) => ({ size, contender, failed })))
  }
  try {
    return await measure((racer) => pin(racer.pid, CORE))
  } finally {
    pin(redis.pid, ALL_CORES)
  }
}

/** All threads of a process; those it starts later stay with them. */
function pin(pid, cores) {
  const { error, status, stderr } = spawnSync('taskset', ['-acp', cores, `${pid}`])
  if (error || status !== 0) throw new Error(`taskset failed: ${error?.message ?? stderr}`)
}

module.exports = { onOneCore }
