'use strict'

// Three hosts have the same job in their schedule, and one of them runs it each time. Runs on the Redis at
// REDIS_URL, or without any; needs `npm install` in this directory.

const cron = require('node-cron')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

/**
 * Schedules a job that runs on one host each time, and never beside its own last run.
 *
 * @param {string} name   the same on all hosts
 */
function schedule(locks, expression, name, job) {
  return cron.schedule(expression, async ({ date }) => {
    // Named after the time it stands for and never released, so a host whose clock is late finds it taken:
    // clocks may differ by an hour, or by whatever is still less than the time between two runs.
    const turn = await locks.acquire(`${name}:${date.toISOString()}`, { ttl: 3600000, timeout: 0 })
    if (!turn) return

    // The run before this one may take longer than expected.
    await locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock) await job(date, lock.signal)
    })
  })
}

async function main() {
  const runs = []
  const hosts = ['ada', 'bob', 'eve'].map((host) => {
    const locks = distLock(process.env.REDIS_URL || 'memory:', {
      keyPrefix: `cron-${process.pid}:`,
    })
    const task = schedule(locks, '* * * * * *', 'backup', async (date) => {
      runs.push(date.toISOString())
      console.log(`${date.toISOString()} runs on ${host}`)
    })
    return { locks, task }
  })

  while (runs.length < 2) await new Promise((resolve) => setTimeout(resolve, 50))
  for (const { locks, task } of hosts) {
    await task.destroy()
    await locks.close({ release: true })
  }
  if (new Set(runs).size !== runs.length) process.exitCode = 1
}

main()
