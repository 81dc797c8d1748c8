'use strict'

const { inWords } = require('./duration.js')

/**
 * Rows under a head, in columns that are as wide as they must be.
 *
 * @param {string[]} head
 * @param {string[][]} rows
 * @returns {string[]} its lines
 */
function table(head, rows) {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)))
  return all.map((row) => {
    const cells = row.map((cell, column) => cell.padEnd(widths[column]))
    return cells.join('  ').trimEnd()
  })
}

const HEAD = ['RESOURCE', 'MODE', 'OWNER', 'TOKEN', 'ENDS IN', 'WAITING']

/** Locks as a table: a row for each holder, and for each queue in front of a lock that is free just now. */
function lockTable({ held, pending }) {
  const waiting = new Map()
  for (const { name } of pending) waiting.set(name, (waiting.get(name) ?? 0) + 1)
  const rows = held.map((lock) => [
    shown(lock.name),
    modeOf(lock),
    shown(lock.owner),
    String(lock.fencingToken ?? '–'),
    left(lock),
    String(waiting.get(lock.name) ?? 0),
  ])
  const isHeld = new Set(held.map(({ name }) => name))
  for (const [name, count] of waiting) {
    if (!isHeld.has(name)) rows.push([shown(name), '–', '–', '–', '–', String(count)])
  }
  rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return table(HEAD, rows)
}

/** `exclusive`, `shared`, or how many may hold it. */
function modeOf({ mode, permits }) {
  return permits === undefined ? mode : `${permits} permits`
}

/** For how long a lock lives unless it is renewed. */
function left({ remaining }) {
  return remaining === undefined || remaining === null ? 'never' : inWords(remaining)
}

/** A text of somebody's that may have anything in it, terminal commands included. */
function shown(text) {
  // eslint-disable-next-line no-control-regex
  return String(text ?? '').replace(/[\u0000-\u001f\u007f-\u009f]/g, '�') || '–'
}

module.exports = { left, lockTable, modeOf, shown, table }
