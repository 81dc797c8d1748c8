'use strict'

// Acquire, work, release. Runs on REDIS_URL, or on locks in this process's own memory.

const distLock = require('../index.js') // elsewhere: require('dist-lock')

const locks = distLock(process.env.REDIS_URL || 'memory:')

async function main() {
  const lock = await locks.acquire('invoice:42', { owner: 'quickstart', timeout: 5000 })
  if (!lock) return console.log('Somebody else has been at invoice 42 for 5 seconds.')
  try {
    console.log(`${lock.owner} holds ${lock.key}: nobody else is at invoice 42 now.`)
  } finally {
    console.log((await lock.release()) ? 'Released.' : 'The lock was over before the work was.')
  }
}

main()
