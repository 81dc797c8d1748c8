'use strict'

const exitCodes = require('./exit-codes.js')

/** What all commands have in common, below the help of each. */
const COMMON = `
Connection, for every command:
  --url URL              redis://, rediss:// (TLS), redis+sentinel://, redis+cluster://, unix:///path;
                         default: DIST_LOCK_URL, REDIS_URL, redis://localhost:6379; several times (in
                         DIST_LOCK_URL with spaces): independent servers, a majority holds a lock
  --prefix TEXT          what the keys of the locks begin with; default: DIST_LOCK_PREFIX, lock:
  --connect-timeout DURATION   how long Redis may be away (default 10s)
A password belongs into the environment, where other users do not see it: DIST_LOCK_PASSWORD (with
DIST_LOCK_USERNAME, if there is one), or the URL in DIST_LOCK_URL. It is never printed.
`

/** The help of all: what there is, and how to go on. */
function overview(commands) {
  const names = Object.keys(commands)
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${commands[name].summary}`)
  return `Usage: dist-lock COMMAND [options]

Locks in Redis, for shells and for people.

${lines.join('\n')}
  ${'help'.padEnd(width)}  explain a command, with examples: dist-lock help run

  dist-lock run --wait 0 nightly-backup -- /usr/local/bin/backup
${COMMON}
Exit codes: 0 yes, ${exitCodes.NO} no, ${exitCodes.USAGE} wrong arguments, ${exitCodes.REDIS} Redis cannot be reached or refuses; run has more of them.
`
}

/** The help of one command. */
function ofCommand(command) {
  return `${command.help}${COMMON}`
}

module.exports = { overview, ofCommand }
