'use strict'

// One of several processes that contend for a few locks while things go wrong, and tell what they saw:
// a line of JSON for each event, with the time of the clock that all processes of a machine share.

const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('../../index.js')
const { Chance } = require('./chance.js')
const { now } = require('./clock.js')

const { source, options, names, workers, seed, ttl, longHolds } = JSON.parse(process.argv[2])
const locks = distLock(source, options)
const chance = new Chance(seed)
let isStopping = false
let nextCall = 0

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)

process.stdin.on('data', () => (isStopping = true))
process.stdin.on('end', () => process.exit())

/** Makes a call and tells when it began and how it ended; `limit`: by when it has to. */
async function call(method, name, limit, make) {
  const number = nextCall++
  say({ is: 'call', number, method, name, at: now(), limit })
  try {
    const value = await make()
    say({ is: 'end', number, at: now(), outcome: value ? 'yes' : 'no' })
    return value
  } catch (error) {
    say({ is: 'end', number, at: now(), outcome: error.code ?? String(error) })
    // A server that is down is not asked in a loop.
    await sleep(20)
  }
}

/** What a call may take that has no time of its own. */
const LONGEST = options.connectTimeout + options.commandTimeout

async function work(chance) {
  while (!isStopping) {
    const name = chance.oneOf(names)
    const timeout = chance.oneOf([undefined, 0, 200, 1000, 3000])
    const autoExtend = chance.is(0.3)
    const began = now()
    // Who waits without a limit may wait as long as others want the lock.
    const limit = timeout === undefined ? undefined : timeout || LONGEST
    const lock = await call('acquire', name, limit, () =>
      locks.acquire(name, { ttl, timeout, autoExtend }),
    )
    if (lock) await hold(name, lock, autoExtend, began, chance)
    else await sleep(chance.between(0, 10))
  }
}

async function hold(name, lock, autoExtend, began, chance) {
  const hold = { name, id: lock.id, token: lock.fencingToken, began }
  const from = now()
  let to = from
  let until = from
  if (lock.remaining === 0) return say({ is: 'hold', ...hold, from, to, how: 'late' })
  // If this process is killed, that much is known.
  say({ is: 'grant', ...hold, from })

  const ends = from + (chance.is(longHolds) ? chance.between(0, 2 * ttl) : chance.between(0, 10))
  const isReleased = chance.is(0.995)
  const isExtended = chance.is(0.1)
  /** Whether it is believed at this moment, which is then part of what is told. */
  const believes = () => {
    const at = now()
    const { remaining } = lock
    if (remaining === 0) return false
    to = at
    until = at + remaining
    return true
  }
  const goesOn = () => now() < ends || (!isReleased && !autoExtend)
  while (believes() && !isStopping && goesOn()) await sleep(2)
  if (isExtended && believes()) {
    await call('extend', name, LONGEST, () => lock.extend(chance.oneOf([ttl / 2, ttl, 2 * ttl])))
    await sleep(1)
  }
  const isHeld = believes()
  const how = isHeld ? 'released' : 'over'
  say({ is: 'hold', ...hold, from, to, until, seen: now(), how })
  if (isHeld || chance.is(0.5)) await call('release', name, LONGEST, () => lock.release())
}

async function main() {
  await Promise.all(Array.from({ length: workers }, () => work(chance.fork())))
  await locks.close({ release: true })
  say({ is: 'done' })
  process.exit()
}

main()
