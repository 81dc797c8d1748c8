'use strict'

/**
 * What has changed between two looks at the locks.
 *
 * @typedef {{ held: any[], pending: any[] }} Snapshot   as of `locks.query()`
 * @param {Snapshot} before
 * @param {Snapshot} after
 * @returns {{ event: 'held' | 'freed' | 'waiting', name: string }[]}
 */
function changes(before, after) {
  const [had, has] = [byHold(before.held), byHold(after.held)]
  const freed = [...had].filter(([hold]) => !has.has(hold)).map(([, lock]) => lock)
  const held = [...has].filter(([hold]) => !had.has(hold)).map(([, lock]) => lock)
  return [
    ...freed.map(({ name, owner, fencingToken }) => ({
      event: 'freed',
      name,
      owner,
      fencingToken,
    })),
    ...held.map(({ name, owner, mode, fencingToken, remaining }) => ({
      ...{ event: 'held', name, owner, mode },
      ...{ fencingToken, remaining },
    })),
    ...queues(waiters(before.pending), waiters(after.pending)),
  ]
}

/** Locks by what tells one hold from another. */
function byHold(held) {
  return new Map(
    held.map((lock) => [JSON.stringify([lock.name, lock.clientId, lock.fencingToken]), lock]),
  )
}

/** How many wait for each resource. */
function waiters(pending) {
  const counts = new Map()
  for (const { name } of pending) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

function queues(before, after) {
  const names = new Set([...before.keys(), ...after.keys()])
  const changed = [...names].filter((name) => before.get(name) !== after.get(name))
  return changed.map((name) => ({ event: 'waiting', name, waiting: after.get(name) ?? 0 }))
}

module.exports = { changes }
