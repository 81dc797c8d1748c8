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
  const run = async ({ date }) => {
    // Named after the time it stands for and never released, so a host whose clock is late finds it taken,
    // by up to an hour.
    const turn = `${name}:${date.toISOString()}`
    if (!(await locks.acquire(turn, { ttl: 3600000, timeout: 0 }))) return

    // The run before this one may take longer than expected.
    await locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock) await job(date, lock.signal)
    })
  }
  // Not all at the same moment, so that each host has its share.
  return cron.schedule(expression, run, { maxRandomDelay: 300 })
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
