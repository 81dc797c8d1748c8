'use strict'

// One of several processes leads. Start some of these and end the one that leads, with Ctrl-C or more rudely:
//
//     REDIS_URL=redis://… node examples/leader-election.js ada

const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

/**
 * Calls `lead` whenever this process leads, with a signal that fires when it does so no longer; it must stop
 * then. Returns when `ended` fires.
 */
async function stand(locks, name, ended, lead) {
  // A leader that died is followed after the ttl. One that cannot reach Redis stops leading within it.
  const options = { ttl: 3000, signal: ended }
  while (!ended.aborted) {
    try {
      await locks.request(name, options, (lock) =>
        lead(AbortSignal.any([lock.signal, ended]), lock.fencingToken),
      )
    } catch (error) {
      if (ended.aborted) return
      console.log(`not leading: ${error.message}`)
      // Redis may be away: then this fails again, and there is no hurry.
      await sleep(1000, undefined, { signal: ended }).catch(() => {})
    }
  }
}

async function main() {
  const self = process.argv[2] ?? `process ${process.pid}`
  const locks = distLock(process.env.REDIS_URL || 'redis://localhost:6379')
  const ended = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => ended.abort())

  console.log(`${self} stands for election`)
  await stand(locks, 'leader', ended.signal, async (stop, token) => {
    console.log(`${self} leads, token ${token}`)
    // What only the leader does; the token goes along with what it writes.
    while (!stop.aborted) await sleep(1000, undefined, { signal: stop }).catch(() => {})
    console.log(`${self} steps down`)
  })
  await locks.close()
}

main()
