'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { changes } = require('../changes.js')
const { CONNECTION_OPTIONS, address, connect } = require('../connection.js')
const { LONGEST_TIMER, duration, inWords } = require('../duration.js')
const { UsageError } = require('../errors.js')
const exitCodes = require('../exit-codes.js')
const { onSignal } = require('../signals.js')
const { style } = require('../style.js')
const { shown } = require('../table.js')
const { draw, look } = require('./ls.js')

const summary = 'watch locks as they are taken, waited for and released'

const help = `Usage: dist-lock watch [options] [PATTERN]

On a terminal, shows the table of ls and keeps it up to date. Elsewhere, and with --json, prints a line
for everything that has changed between two looks; what comes and goes in between is not seen.

Examples:
  dist-lock watch 'deploy:*'
  dist-lock watch --json | jq -c 'select(.event == "waiting" and .waiting > 10)'

Options:
  --interval DURATION    the time between two looks (default 1s)
  --count N              how often to look (default: until you end it)
  --json                 a document per line: { at, event, name, … }, where event is
                         held     somebody has the lock now: owner, mode, fencingToken, remaining
                         freed    somebody has it no more: owner, fencingToken
                         waiting  how many wait has changed: waiting

Exit codes:
  0    it was ended by Ctrl-C, or --count
  ${exitCodes.REDIS}   Redis cannot be reached or refuses
`

const options = { ...CONNECTION_OPTIONS, interval: { type: 'string' }, count: { type: 'string' } }

/** @returns {Promise<number>} the exit code */
async function execute({ values, positionals }) {
  if (positionals.length > 1)
    throw new UsageError('Expected one pattern; quote it: dist-lock watch "a*"')
  const wanted = duration('interval', values.interval ?? '1s', { least: 10 })
  const interval = Math.min(wanted, LONGEST_TIMER)
  const count = values.count === undefined ? Infinity : Number(values.count)
  if (!(count >= 1)) throw new UsageError('Expected --count to be a number of 1 or more')
  const manager = connect(values)
  const isScreen = Boolean(process.stdout.isTTY) && !values.json
  const show = isScreen ? screen(address(manager.source.settings()), interval) : lines(values.json)

  const ending = new AbortController()
  const restore = onSignal(() => ending.abort())
  try {
    for (let looks = 1; !ending.signal.aborted; looks++) {
      show(await look(manager, positionals[0]))
      if (looks >= count) break
      await sleep(interval, undefined, { signal: ending.signal }).catch(() => {})
    }
  } finally {
    restore()
    if (isScreen) process.stdout.write(SHOW_CURSOR)
  }
  return exitCodes.OK
}

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
/** To the first place; and from here on nothing. */
const [HOME, CLEAR] = ['\x1b[H', '\x1b[J']

/** Draws the table anew on the whole screen, as much as there is room for. */
function screen(where, interval) {
  const { dim } = style(process.stdout)
  process.stdout.write(`${HIDE_CURSOR}${HOME}${CLEAR}`)
  return (snapshot) => {
    const title = dim(`${where}, every ${inWords(interval)}, ${new Date().toLocaleTimeString()}`)
    const { rows = 24 } = process.stdout
    const all = [title, '', ...draw(snapshot)]
    const more = all.length - (rows - 1)
    if (more > 0) all.splice(rows - 2, more + 1, dim(`and ${more + 1} more`))
    process.stdout.write(`${HOME}${all.map((line) => `${line}\x1b[K`).join('\n')}\n${CLEAR}`)
  }
}

/** Prints what has changed since the look before. */
function lines(isJson) {
  let before = { held: [], pending: [] }
  return (snapshot) => {
    const at = new Date().toISOString()
    for (const change of changes(before, snapshot)) {
      const line = isJson ? JSON.stringify({ at, ...change }) : `${at}  ${inLetters(change)}`
      process.stdout.write(`${line}\n`)
    }
    before = snapshot
  }
}

function inLetters({ event, name, owner, fencingToken, waiting }) {
  const what =
    event === 'waiting' ? `${waiting} waiting` : `by ${shown(owner)}, token ${fencingToken ?? '–'}`
  return `${event.padEnd(7)}  ${shown(name)}  ${what}`
}

module.exports = { summary, help, options, execute }
