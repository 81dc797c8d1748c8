'use strict'

const { now, spin, sleep } = require('../clock.js')

/** How long a turn takes, in milliseconds. */
const HOLD = 1

/**
 * Takes the lock, keeps the thread busy for a millisecond and releases it, over and over. All times
 * are those of `clock.js`, so that those of several processes can be compared.
 *
 * @param {{ resource: string, from: number, until: number }} argument
 * @returns {Promise<{ turns: Float64Array, waitingSince?: number }>} three numbers per turn: when
 *   acquire was called, when it had the lock, when it called release
 */
async function takeTurns(contender, { resource, from, until }) {
  await sleep(from - now())

  const turns = []
  let called
  const work = async () => {
    while (now() < until) {
      called = now()
      const lock = await contender.acquire(resource)
      const granted = now()
      if (!lock) throw new Error(`${contender.name} gave up waiting`)

      spin(HOLD)
      turns.push(called, granted, now())
      called = undefined
      await contender.release(lock)
    }
  }
  // Whoever waits then is not waited for.
  await Promise.race([work(), sleep(until - now())])
  return { turns: Float64Array.from(turns), waitingSince: called }
}

module.exports = { takeTurns }
