'use strict'

const { Query } = require('../calls.js')
const { dispatch } = require('../dispatch.js')
const { decode } = require('./name.js')

/**
 * `locks.query` of the Web Locks API: who holds and who waits, over all processes.
 *
 * @param {import('../manager.js').Manager} manager
 */
async function query(manager) {
  // Those of before the question count, even if it overtakes them.
  const asked = [...manager.requests]
  const rows = read(await dispatch(new Query(manager, '')))
  const clientId = clientIdOf(manager)
  const snapshot = { held: [], pending: [] }
  const positions = new Map()
  for (const [kind, key, client, owner, capacity, token, time] of rows) {
    const info = {
      name: decode(manager.resourceOf(key)),
      mode: capacity === '' ? 'exclusive' : 'shared',
      clientId: client,
      owner,
    }
    if (capacity > 0) info.permits = Number(capacity)
    if (kind === 'held') {
      snapshot.held.push({ ...info, fencingToken: number(token), remaining: number(time) })
    } else {
      snapshot.pending.push({ ...info, position: next(positions, info.name), age: Number(time) })
    }
  }
  // In the order of the grants, as far as that is known.
  snapshot.held.sort((one, other) => (one.fencingToken ?? 0) - (other.fencingToken ?? 0))
  const missing = missingOf(
    snapshot,
    asked.filter((request) => manager.requests.has(request)),
    clientId,
  )
  for (const { name, mode } of missing) {
    const position = next(positions, name)
    snapshot.pending.push({ name, mode, clientId, owner: '', position, age: 0 })
  }
  return snapshot
}

/** What this manager asked for and the store does not know of yet comes behind all that it does. */
function missingOf({ held, pending }, asked, clientId) {
  const isOurs = (info) => info.clientId === clientId
  const granted = new Set(
    asked.filter(({ lock }) => lock).map(({ name, lock }) => grant(name, lock)),
  )
  const isNew = (info) => !granted.has(grant(info.name, info))
  const newlyHeld = count(held.filter(isOurs).filter(isNew))
  const waiting = count(pending.filter(isOurs))
  return asked.filter(({ name, mode, ifAvailable, lock }) => {
    const which = `${mode} ${name}`
    const isKnown = lock || (!ifAvailable && take(waiting, which)) || take(newlyHeld, which)
    return !isKnown && !ifAvailable
  })
}

function grant(name, { fencingToken }) {
  return `${fencingToken} ${name}`
}

/** How many there are of each mode and name. */
function count(infos) {
  const counts = new Map()
  for (const { name, mode } of infos) next(counts, `${mode} ${name}`)
  return counts
}

/** Counts one more. */
function next(counts, which) {
  const number = (counts.get(which) ?? 0) + 1
  counts.set(which, number)
  return number
}

/** Takes one of those that were counted; says whether there was one. */
function take(counts, which) {
  const number = counts.get(which) ?? 0
  if (number > 0) counts.set(which, number - 1)
  return number > 0
}

/**
 * The name of a manager, by which its locks are known: how their ids begin. One that was closed before it
 * was used has none.
 */
function clientIdOf(manager) {
  if (!manager.isClosed) manager.locker()
  return manager.clientId
}

/** Rows of seven fields, each a length, a colon and so much text; `src/node/listing.rs` writes them. */
function read(text) {
  const rows = []
  let row = []
  for (let at = 0; at < text.length;) {
    const colon = text.indexOf(':', at)
    const end = colon + 1 + Number(text.slice(at, colon))
    row.push(text.slice(colon + 1, end))
    at = end
    if (row.length === 7) {
      rows.push(row)
      row = []
    }
  }
  return rows
}

function number(text) {
  return text === '' ? undefined : Number(text)
}

module.exports = { clientIdOf, query }
