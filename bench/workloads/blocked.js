'use strict'

const { sleep } = require('../clock.js')
const { OURS, RENEWING } = require('../contenders/index.js')
const { withRacers } = require('../racer.js')
const { value } = require('../report/columns.js')
const { eachInTurn } = require('../rounds.js')

/** For how many seconds the event loop is blocked. */
const SIZES = [3]

/** How long the lock lives when it is not renewed, in milliseconds. */
const TTL = 1000

/** Milliseconds for a renewal that came too late to be noticed. */
const LATER = 300

/** A renewed lock whose holder is too busy to renew it, while another process tries to get it. */
module.exports = {
  name: 'blocked',
  title: 'A blocked event loop',
  legend: `A lock with a ttl of 1 s, renewed until it is released; the event loop of its holder is blocked
while another process waits for the lock. Only libraries that renew. taken: in how many rounds the
other one got it. says held: in how many the library said right after the block, and 0.3 s
later, that it still holds it: not true where it was taken. remaining: milliseconds that it said
were left right after the block.`,
  contenders: [OURS, ...RENEWING],
  sizes: SIZES,
  sizeTitle: (size) => `Blocked for ${size} s`,
  full: { rounds: 2 },
  quick: { rounds: 1 },
  measureRound: (redis, plan) =>
    eachInTurn(plan, (contender, seconds) => measureOne(redis, contender, seconds)),
  columns: [
    value('taken', 'isTaken', outOf),
    value('says held', 'saysHeld', outOf),
    value('… later', 'saysHeldLater', outOf),
    value('remaining ms', 'remaining', (number) => number.toFixed(0)),
  ],
}

/** In how many of the rounds it was so. */
function outOf(_, values) {
  return `${values.reduce((sum, one) => sum + one, 0)} of ${values.length}`
}

function measureOne(redis, contender, seconds) {
  return withRacers(redis, contender, 2, async ([holder, rival]) => {
    await holder.ask('guard', { resource: 'bench', ttl: TTL })
    await rival.ask('beginToWait', { resource: 'bench', waiters: 1 })

    const atOnce = await holder.ask('block', { seconds })
    await sleep(LATER)
    const later = await holder.ask('inspect')
    const isTaken = (await rival.ask('peekFirst')) !== undefined

    // The rival gets it in the end, or something is wrong.
    await holder.ask('endGuard')
    await rival.ask('awaitFirst')
    return {
      isTaken: Number(isTaken),
      saysHeld: Number(atOnce.saysHeld),
      saysHeldLater: Number(later.saysHeld),
      remaining: atOnce.remaining,
    }
  })
}
