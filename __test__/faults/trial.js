'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Chance } = require('./chance.js')
const { now } = require('./clock.js')
const { Contenders } = require('./contenders.js')
const { faultsOf } = require('./faults.js')
const { History, NOISE } = require('./history.js')
const { topologies } = require('./topologies.js')

const OPTIONS = { connectTimeout: 6000, commandTimeout: 1000, nodeTimeout: 250 }
/** A waiter's process beats at least that often. */
const BEAT = 1000
/** Processes that have held nothing by then never will. */
const LONGEST_BEGINNING = 60_000

/**
 * Lets processes contend on a topology while faults come and go, and tells what came of it.
 *
 * @param {{ after(fn: () => unknown): void }} t whose end ends everything
 * @param {object} plan
 * @param {string} plan.topology its name
 * @param {number} plan.seconds how long there are faults
 * @param {number} plan.seed what repeats the choices of faults, though not of the scheduler
 * @param {number} [plan.processes]
 * @param {number} [plan.ttl] of the locks, in milliseconds
 * @param {number} [plan.longHolds] the share of locks that are held for up to twice that
 * @param {string[]} [plan.only] the names of the faults that may happen
 */
async function trial(t, plan) {
  const { topology: name, seconds, seed, processes = 4, ttl = 1500, longHolds = 0.005 } = plan
  const chance = new Chance(seed)
  const topology = await topologies[name](t)
  const history = new History()
  const { source, names } = topology
  const options = { ...OPTIONS, ...topology.options }
  const data = { source, options, names, ttl, longHolds, workers: 3 }
  const contenders = new Contenders(history, chance.fork(), data)
  t.after(() => contenders.kill())
  for (let number = 0; number < processes; number++) contenders.start()
  await begun(history, contenders)

  const faults = await breakThings({
    topology,
    contenders,
    history,
    chance,
    seconds,
    only: plan.only,
  })
  const healed = now()
  // Once servers are back, a lock of who has died ends with its ttl, and a beat finds that out.
  const limit = 2 * ttl + BEAT + OPTIONS.commandTimeout + NOISE
  await recovered(history, names, healed, limit)
  history.note('stop')
  const stuck = await contenders.stop(2 * ttl + OPTIONS.connectTimeout + 2 * NOISE)
  await sleep(2 * ttl)

  const overlaps = history.overlaps()
  const late = history.late()
  return {
    topology: name,
    seconds,
    seed,
    events: history.events,
    faults,
    calls: history.calls.length,
    grants: history.allHolds.length,
    outcomes: history.outcomes(),
    overlaps,
    lost: history.lost(),
    isAsynchronous: topology.isAsynchronous,
    disorders: history.disorders(),
    hung: [...history.hung(), ...Array(stuck).fill('a process')],
    late,
    crashes: contenders.crashes,
    left: await left(topology),
    recovery: history.recovery(names, healed),
    recoversWithin: limit,
  }
}

/** Resolves once all have had the time to connect, and something was granted. */
async function begun(history, contenders) {
  const end = now() + LONGEST_BEGINNING
  while (history.holds.length < 20) {
    contenders.assertAlive()
    if (now() > end)
      throw new Error(`only ${history.holds.length} locks in ${LONGEST_BEGINNING} ms`)
    await sleep(50)
  }
}

async function breakThings({ topology, contenders, history, chance, seconds, only }) {
  const end = now() + seconds * 1000
  const counts = {}
  while (now() < end) {
    await sleep(chance.between(50, 600))
    const [name, fault] = chance.oneOf(faultsOf(topology, only))
    counts[name] = (counts[name] ?? 0) + 1
    history.note('fault', { name })
    await fault({ topology, contenders, chance: chance.fork() })
    history.note('mended', { name })
  }
  return counts
}

async function recovered(history, names, healed, limit) {
  while (history.recovery(names, healed) === Infinity && now() < healed + limit) await sleep(50)
}

/** Locks that are still there, and keys that never end. */
async function left({ nodes }) {
  const keys = await Promise.all(
    nodes.map(async ({ server }) => {
      const all = await server.command('KEYS', '*')
      const lasting = []
      for (const key of all) {
        // In a Cluster only the primary of a key tells.
        const pttl = await server.command('PTTL', key).catch(() => 0)
        const isForever = pttl === -1
        if (isForever || key.startsWith('lock:')) lasting.push(key)
      }
      return lasting
    }),
  )
  return keys.flat()
}

/** What was not as promised, in words. */
function violations(result) {
  const {
    overlaps,
    isAsynchronous,
    disorders,
    hung,
    late,
    crashes,
    left,
    recovery,
    recoversWithin,
  } = result
  const found = [
    ...disorders.map((pair) => `a token did not grow: ${JSON.stringify(pair)}`),
    ...hung.map((call) => `never ended: ${JSON.stringify(call)}`),
    ...late.map((call) => `ended too late: ${JSON.stringify(call)}`),
    ...crashes.map((errors) => `a process crashed: ${errors}`),
    ...left.map((key) => `left behind: ${key}`),
  ]
  if (!isAsynchronous) {
    found.push(...overlaps.map((pair) => `two believed at once: ${JSON.stringify(pair)}`))
  }
  if (!(recovery <= recoversWithin)) found.push(`back after ${recovery} ms, not ${recoversWithin}`)
  return found
}

module.exports = { trial, violations }
