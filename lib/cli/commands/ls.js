'use strict'

const { CONNECTION_OPTIONS, connect } = require('../connection.js')
const { UsageError } = require('../errors.js')
const exitCodes = require('../exit-codes.js')
const { matches } = require('../pattern.js')
const { style } = require('../style.js')
const { lockTable } = require('../table.js')

const summary = 'list the locks that are held or waited for'

const help = `Usage: dist-lock ls [options] [PATTERN]

Lists who holds which lock, for how long at least, and how many wait for it. In PATTERN, * stands for
any characters and ? for one; quote it, or the shell looks for files. Looks through the whole database,
a little at a time.

Examples:
  dist-lock ls
  dist-lock ls 'deploy:*'
  dist-lock ls --json | jq -r '.held[] | select(.remaining < 1000) | .name'

Options:
  --json                 one document: { held: [{ name, mode, owner, fencingToken, remaining, … }],
                         pending: [{ name, mode, owner, position, age, … }] }, times in milliseconds

Exit codes:
  0    there it is, even if there are none
  ${exitCodes.REDIS}   Redis cannot be reached or refuses
`

/** @returns {Promise<number>} the exit code */
async function execute({ values, positionals }) {
  if (positionals.length > 1)
    throw new UsageError('Expected one pattern; quote it: dist-lock ls "a*"')
  const snapshot = await look(connect(values), positionals[0])
  if (values.json) process.stdout.write(`${JSON.stringify(snapshot, null, 2)}\n`)
  else process.stdout.write(`${draw(snapshot).join('\n')}\n`)
  return exitCodes.OK
}

/** Who holds and who waits, of the resources that match. */
async function look(manager, pattern) {
  const { held, pending } = await manager.locks.query()
  const isMeant = matches(pattern)
  const meant = ({ name }) => isMeant(name)
  return { held: held.filter(meant), pending: pending.filter(meant) }
}

function draw(snapshot) {
  const [head, ...rows] = lockTable(snapshot)
  return [style(process.stdout).bold(head), ...rows]
}

module.exports = { summary, help, options: CONNECTION_OPTIONS, execute, look, draw }
