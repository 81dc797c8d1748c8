'use strict'

const { Query } = require('../calls.js')
const { dispatch } = require('../dispatch.js')
const engine = require('../engine.js')
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
      const position = (positions.get(key) ?? 0) + 1
      positions.set(key, position)
      snapshot.pending.push({ ...info, position, age: Number(time) })
    }
  }
  addMissing(
    snapshot,
    asked.filter((request) => manager.requests.has(request)),
    clientId,
  )
  return snapshot
}

/** What this manager asked for and the store does not know of yet comes behind all that it does. */
function addMissing({ held, pending }, asked, clientId) {
  const isOurs = ({ clientId: other }) => other === clientId
  const known = [...held, ...pending].filter(isOurs).map(({ name, mode }) => `${mode} ${name}`)
  for (const { name, mode } of asked) {
    const at = known.indexOf(`${mode} ${name}`)
    if (at >= 0) known.splice(at, 1)
    else {
      const position = pending.filter((other) => other.name === name).length + 1
      pending.push({ name, mode, clientId, owner: '', position, age: 0 })
    }
  }
}

/** The name of a manager, by which its locks are known: how their ids begin. */
function clientIdOf(manager) {
  return engine.client(manager.locker().number, manager.number)
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
