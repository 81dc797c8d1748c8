'use strict'

const { CONNECTION_OPTIONS, connect } = require('../connection.js')
const { UsageError } = require('../errors.js')
const exitCodes = require('../exit-codes.js')
const { shown } = require('../table.js')

const summary = 'take a lock away from whoever holds it'

const help = `Usage: dist-lock release [options] RESOURCE

Releases the lock of RESOURCE, whoever holds it, and hands it to the first who waits. Its holder is told
that it was lost when it renews or releases it next, and may work on until then: stop it first.

Examples:
  dist-lock show deploy:shop && dist-lock release deploy:shop
  # Only if it is still the holder that you have seen
  dist-lock release --token 1795458676905064 deploy:shop

Options:
  --token N              only if this is its fencing token
  --json                 one document: { name, released, owner, fencingToken }

Exit codes:
  0    released
  ${exitCodes.NO}    nobody holds it, or with another token
  ${exitCodes.REDIS}   Redis cannot be reached or refuses
`

const options = { ...CONNECTION_OPTIONS, token: { type: 'string' } }

/** @returns {Promise<number>} the exit code */
async function execute({ values, positionals }) {
  const [name, ...others] = positionals
  if (!name || others.length > 0) throw new UsageError('Expected the name of one resource')
  const { token } = values
  if (token !== undefined && !/^\d+$/.test(token)) {
    throw new UsageError(`Expected --token to be a number; got ${JSON.stringify(token)}`)
  }
  const { locks } = connect(values)

  const { held } = await locks.query()
  const holders = held.filter((lock) => lock.name === name)
  const { owner, fencingToken } = holders[0] ?? {}
  const isMeant = token === undefined || holders.some((lock) => lock.fencingToken === Number(token))
  const released = holders.length > 0 && isMeant && (await free(locks, name, holders))
  if (values.json) say(JSON.stringify({ name, released, owner, fencingToken }, null, 2))
  else if (released) say(`released ${shown(name)}, which ${shown(owner)} held`)
  else if (holders.length > 0 && !isMeant) say(`held with another token: ${fencingToken}`)
  else say(`nobody holds ${shown(name)}`)
  return released ? exitCodes.OK : exitCodes.NO
}

/** One holder by its own id, so that whoever has the lock a moment later keeps it; all who share it at once. */
async function free(locks, name, holders) {
  if (holders.length > 1 || holders[0].mode === 'shared') return locks.forceRelease(name)
  const lock = await locks.getAcquiredLock(name)
  const isSame = lock !== null && lock.fencingToken === holders[0].fencingToken
  return isSame && lock.release()
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

module.exports = { summary, help, options, execute }
