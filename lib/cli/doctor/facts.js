'use strict'

const { randomUUID } = require('node:crypto')
const { Describe } = require('../../calls.js')
const { dispatch } = require('../../dispatch.js')

/** Hand-offs between two connections of ours. */
const HANDOFFS = 5

/** What is certain not to be anybody's. */
const resource = () => `dist-lock:doctor:${randomUUID()}`

/**
 * What is found out about a server.
 *
 * @typedef {object} Facts
 * @property {Record<string, string>} [info]   the fields of INFO, if we may ask for them
 * @property {string} [refusal]   why we may not
 * @property {{ mode: 'queue' | 'classic', reason?: string }} mode
 * @property {number} connecting   milliseconds until the first answer
 * @property {{ median: number, p99: number, samples: number }} latency   of an acquire and its release
 * @property {number} [handoff]   milliseconds from a release to the grant over another connection
 * @property {{ ahead: number, within: number }} [clock]   of the server, in milliseconds
 */

/**
 * Asks for all of it.
 *
 * @param {import('../../manager.js').Manager} manager
 * @param {import('../../manager.js').Manager} other   with a connection of its own
 * @param {number} samples
 * @returns {Promise<Facts>} rejects with a LockError when locks do not work there
 */
async function gather(manager, other, samples) {
  const { locks } = manager
  const started = performance.now()
  const facts = await describe(manager)
  const connecting = performance.now() - started
  const role = facts.info?.role
  if (role !== undefined && role !== 'master') return { ...facts, connecting }

  const mode = await locks.info()
  const { latency, clock } = await measure(locks, samples)
  const handoff = mode.mode === 'queue' ? await measureHandoff(locks, other.locks) : undefined
  return { ...facts, connecting, mode, latency, clock, handoff }
}

async function describe(manager) {
  try {
    const text = await dispatch(new Describe(manager, ''))
    return text === undefined ? {} : { info: fields(text) }
  } catch (error) {
    // A user who may take locks need not be one who may ask this.
    if (error.redisCode !== 'NOPERM') throw error
    return { refusal: error.message }
  }
}

/** The fields of INFO by name. */
function fields(text) {
  const lines = text.split(/\r?\n/).filter((line) => /^\w+:/.test(line))
  return Object.fromEntries(lines.map((line) => [line.split(':', 1)[0], line.replace(/^\w+:/, '')]))
}

async function measure(locks, samples) {
  const name = resource()
  const times = []
  let clock
  for (let count = 0; count <= samples; count++) {
    const began = Date.now()
    const started = performance.now()
    const lock = await locks.acquire(name, { owner: 'dist-lock doctor', ttl: 10000 })
    const trip = performance.now() - started
    await lock.release()
    // The first one opens the connection.
    if (count > 0) times.push(performance.now() - started)
    if (count > 0) clock = closer(clock, lock.fencingToken, began, trip)
  }
  times.sort((a, b) => a - b)
  const at = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))]
  return { latency: { median: at(0.5), p99: at(0.99), samples }, clock }
}

/** A token is the server's time in microseconds, unless its clock was set back. */
function closer(clock, token, began, trip) {
  const within = trip / 2
  if (token === undefined || (clock !== undefined && clock.within <= within)) return clock
  return { ahead: token / 1000 - (began + within), within }
}

async function measureHandoff(locks, others) {
  const times = []
  for (let count = 0; count < HANDOFFS; count++) {
    const name = resource()
    const lock = await locks.acquire(name, { owner: 'dist-lock doctor', ttl: 10000 })
    const waiting = others.acquire(name, { owner: 'dist-lock doctor', ttl: 10000, timeout: 10000 })
    await queued(others)
    const started = performance.now()
    await lock.release()
    const handed = await waiting
    times.push(performance.now() - started)
    if (handed) await handed.release()
  }
  return times.sort((a, b) => a - b)[HANDOFFS >> 1]
}

/** Until what was sent before was answered, and what waits is in the queue. */
async function queued(locks) {
  for (let turn = 0; turn < 3; turn++) await locks.getAcquiredLock(resource())
}

module.exports = { fields, gather }
