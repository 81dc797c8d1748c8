'use strict'

const { CONNECTION_OPTIONS, connect } = require('../connection.js')
const { inWords } = require('../duration.js')
const { UsageError } = require('../errors.js')
const exitCodes = require('../exit-codes.js')
const { style } = require('../style.js')
const { left, modeOf, shown, table } = require('../table.js')

const summary = 'show who holds a lock and who waits for it, in order'

const help = `Usage: dist-lock show [options] RESOURCE

Shows who holds the lock of RESOURCE and who waits for it, in the order in which they will get it.

Examples:
  dist-lock show deploy:shop
  until ! dist-lock show deploy:shop >/dev/null; do sleep 1; done

Options:
  --json                 one document: { name, held: […], pending: […] }, as of ls

Exit codes:
  0    somebody holds it or waits for it
  ${exitCodes.NO}    nobody does
  ${exitCodes.REDIS}   Redis cannot be reached or refuses
`

/** @returns {Promise<number>} the exit code */
async function execute({ values, positionals }) {
  const [name, ...others] = positionals
  if (!name || others.length > 0) throw new UsageError('Expected the name of one resource')

  const snapshot = await connect(values).locks.query()
  const isIt = (lock) => lock.name === name
  const [held, pending] = [snapshot.held.filter(isIt), snapshot.pending.filter(isIt)]
  const lines = values.json
    ? [JSON.stringify({ name, held, pending }, null, 2)]
    : draw(name, held, pending)
  process.stdout.write(`${lines.join('\n')}\n`)
  return held.length + pending.length > 0 ? exitCodes.OK : exitCodes.NO
}

function draw(name, held, pending) {
  const { bold } = style(process.stdout)
  const lines = [bold(shown(name)), '']
  if (held.length === 0) lines.push('Nobody holds it.')
  else {
    const rows = held.map((lock) => [
      shown(lock.owner),
      modeOf(lock),
      String(lock.fencingToken ?? '–'),
      left(lock),
    ])
    lines.push(...table(['HELD BY', 'MODE', 'TOKEN', 'ENDS IN'], rows))
  }
  lines.push('')
  if (pending.length === 0) lines.push('Nobody waits for it.')
  else {
    const rows = pending.map((waiter) => [
      String(waiter.position),
      shown(waiter.owner),
      modeOf(waiter),
      inWords(waiter.age),
    ])
    lines.push(...table(['', 'WAITING', 'MODE', 'FOR'], rows))
  }
  return lines
}

module.exports = { summary, help, options: CONNECTION_OPTIONS, execute }
