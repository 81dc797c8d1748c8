'use strict'

// A worker that is told to end (SIGTERM, as by Kubernetes or systemd) begins nothing new, ends what it is at,
// and frees its locks for others. Runs on the Redis at REDIS_URL, or without any.

const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

const locks = distLock(process.env.REDIS_URL || 'memory:')
const ending = new AbortController()

/** Takes one job after the other until it is told to end. */
async function work() {
  for (let number = 1; !ending.signal.aborted; number++) {
    // Told to end, it waits no longer.
    const lock = await locks.acquire('reports', { autoExtend: true, signal: ending.signal })
    try {
      console.log(`report ${number} begins`)
      await sleep(500)
      console.log(`report ${number} is done`)
    } finally {
      await lock.release()
    }
  }
}

async function main() {
  const working = work().catch((error) => {
    if (error !== ending.signal.reason) throw error
  })

  await new Promise((resolve) => process.once('SIGTERM', resolve))
  console.log('told to end')
  ending.abort()

  // Less than the time after which whoever sent SIGTERM loses patience (Kubernetes: 30 seconds).
  await Promise.race([working, sleep(20000, undefined, { ref: false })])
  // Whatever is still held is freed at once instead of after its ttl.
  await locks.close({ release: true })
  console.log('ended')
  process.exit()
}

main()
