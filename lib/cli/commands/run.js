'use strict'

const os = require('node:os')
const { setTimeout: sleep } = require('node:timers/promises')
const { Child } = require('../child.js')
const { CONNECTION_OPTIONS, connect } = require('../connection.js')
const { duration, inWords } = require('../duration.js')
const { UsageError, explain } = require('../errors.js')
const exitCodes = require('../exit-codes.js')
const { onSignal } = require('../signals.js')

const summary = 'run a command while holding a lock'

const help = `Usage: dist-lock run [options] RESOURCE -- COMMAND [ARGUMENT…]

Waits for the lock of RESOURCE, runs COMMAND while holding it, and ends with its exit code. The lock
is renewed until COMMAND ends; if this machine dies, it is free after --ttl.

Examples:
  # From the cron of ten hosts: one runs it, the others end quietly
  dist-lock run --wait 0 nightly-backup -- /usr/local/bin/backup

  # One deployment at a time, in the order they came, for half an hour at most
  dist-lock run --wait 10m --max-hold 30m deploy:shop -- ./deploy.sh production

  # Four at a time on all hosts together
  dist-lock run --permits 4 encoding -- ffmpeg -i in.mov out.mp4

  # The fencing token, for what the command writes to
  dist-lock run report -- sh -c 'psql -v token="$DIST_LOCK_TOKEN" -f report.sql'

Options:
  --wait DURATION        how long to wait: 0 asks once, 30s, 5m, forever (default)
  --ttl DURATION         how long the lock outlives this machine (default 30s)
  --max-hold DURATION    the longest the command may hold it; then it is stopped (default: no limit)
  --kill-after DURATION  from SIGTERM to SIGKILL when the lock is lost (default 10s)
  --shared               with others who share it, while nobody has it alone
  --permits N            with N - 1 others; all who use it must say the same N
  --min-replicas N       how many replicas must have the lock before COMMAND runs (default 0)
  --owner TEXT           who holds it, for people to read (default: host and process id)
  --conflict-exit-code N what to end with if the lock is taken (default ${exitCodes.TAKEN})
  --verbose              say on stderr what happens to the lock
  --json                 say it as one line of JSON per event

The command finds in its environment:
  DIST_LOCK_TOKEN        the fencing token: larger than that of every earlier holder
  DIST_LOCK_RESOURCE, DIST_LOCK_KEY, DIST_LOCK_OWNER

SIGINT, SIGTERM and SIGHUP are passed on to the command; the lock is held until it has ended. If the
lock is lost (Redis was away for longer than --ttl, or somebody released it), the command gets
SIGTERM, and SIGKILL after --kill-after. Without a terminal these reach all that it started.

Exit codes: that of COMMAND, or 128 + n if signal n ended it, and
  ${exitCodes.TAKEN}   the lock is taken, and COMMAND did not run; quiet with --wait 0
  ${exitCodes.LOST}   the lock was lost while COMMAND ran
  ${exitCodes.REDIS}   Redis cannot be reached or refuses, and COMMAND did not run
  ${exitCodes.CANNOT_RUN}  COMMAND cannot be run     ${exitCodes.NOT_FOUND}  there is no COMMAND     ${exitCodes.USAGE}   wrong arguments
`

const options = {
  ...CONNECTION_OPTIONS,
  wait: { type: 'string' },
  ttl: { type: 'string' },
  'max-hold': { type: 'string' },
  'kill-after': { type: 'string' },
  shared: { type: 'boolean' },
  permits: { type: 'string' },
  'min-replicas': { type: 'string' },
  owner: { type: 'string' },
  'conflict-exit-code': { type: 'string' },
  verbose: { type: 'boolean' },
}

/** Given behind `--`. */
const takesCommand = true

/** @returns {Promise<number>} the exit code */
async function execute({ values, positionals, command }) {
  const [resource, ...others] = positionals
  if (!resource)
    throw new UsageError('Expected the name of a resource: dist-lock run RESOURCE -- …')
  if (others.length > 0 || !command?.[0]) {
    throw new UsageError(`Expected a command behind --: dist-lock run ${resource} -- COMMAND…`)
  }
  const request = readRequest(values)
  const tell = teller(values, resource)
  const { locks } = connect(values, { minReplicas: request.minReplicas })

  let child
  let ending
  const interrupt = new AbortController()
  const restore = onSignal((signal) => {
    ending ??= signal
    if (child) child.forward(signal)
    else interrupt.abort()
  })
  try {
    const lock = await wait(locks, resource, request, interrupt.signal)
    if (interrupt.signal.aborted) {
      if (lock) await lock.release()
      return exitCodes.SIGNAL + os.constants.signals[ending]
    }
    if (!lock) {
      const asked = request.timeout === 0
      const text = asked ? 'taken' : `still taken after ${inWords(request.timeout)}`
      tell('taken', {}, text, asked ? 'detail' : 'trouble')
      return request.conflictExitCode
    }
    tell('acquired', grant(lock), `acquired after ${inWords(lock.acquireDelay)}`)
    child = new Child(command, { ...process.env, ...environment(lock) })
    return await hold(lock, child, command, request, tell)
  } finally {
    restore()
  }
}

function readRequest(values) {
  const code = Number(values['conflict-exit-code'] ?? exitCodes.TAKEN)
  if (!Number.isInteger(code) || code < 0 || code > 255) {
    throw new UsageError('Expected --conflict-exit-code to be a number from 0 to 255')
  }
  const maxHold = values['max-hold']
  return {
    timeout: duration('wait', values.wait ?? 'forever', { forever: true }),
    ttl: duration('ttl', values.ttl ?? '30s', { least: 100 }),
    maxHold: maxHold === undefined ? Infinity : duration('max-hold', maxHold, { least: 100 }),
    killAfter: duration('kill-after', values['kill-after'] ?? '10s'),
    ...sharing(values),
    owner: values.owner ?? `${os.hostname()}:${process.pid}`,
    minReplicas: number('min-replicas', values['min-replicas'] ?? '0', 0),
    conflictExitCode: code,
  }
}

/** How many may hold the lock at once: the options of acquire. */
function sharing({ shared, permits }) {
  if (shared && permits !== undefined) {
    throw new UsageError('Expected --shared or --permits, not both')
  }
  if (shared) return { sharing: { mode: 'shared' } }
  return { sharing: permits === undefined ? {} : { permits: number('permits', permits, 1) } }
}

function number(name, text, least) {
  if (/^\d{1,6}$/.test(text) && Number(text) >= least) return Number(text)
  throw new UsageError(
    `Expected --${name} to be a number of ${least} or more; got ${JSON.stringify(text)}`,
  )
}

/** The lock, `false` if it is taken, or nothing if it is not wanted any more. */
async function wait(locks, resource, request, signal) {
  const { timeout, ttl, maxHold, owner, sharing } = request
  try {
    // The time to connect has a limit of its own.
    await Promise.race([locks.getAcquiredLock(resource), aborted(signal)])
    const options = { timeout, ttl, maxHold, owner, signal, autoExtend: true, ...sharing }
    return await locks.acquire(resource, options)
  } catch (error) {
    if (!signal.aborted) throw error
    // The place in the queue is left on the same way as this question comes, and before it.
    await Promise.race([locks.getAcquiredLock(resource).catch(() => {}), sleep(1000)])
  }
}

function aborted(signal) {
  return new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** Holds the lock until the command has ended. */
async function hold(lock, child, command, request, tell) {
  let isLost = false
  const stop = () => {
    isLost = true
    tell('lost', {}, `${lock.signal.reason.message}; the command is stopped`, 'trouble')
    child.stop(request.killAfter)
  }
  if (lock.signal.aborted) stop()
  else lock.signal.addEventListener('abort', stop)

  let code
  try {
    if (child.pid) tell('started', { pid: child.pid }, `runs ${command.join(' ')}`)
    code = await child.ended
    tell('ended', { exitCode: code }, `the command ended with ${code}`)
  } catch (error) {
    code = error.code === 'ENOENT' ? exitCodes.NOT_FOUND : exitCodes.CANNOT_RUN
    const why = code === exitCodes.NOT_FOUND ? 'command not found' : error.message
    tell('failed', { exitCode: code, message: why }, `${command[0]}: ${why}`, 'trouble')
  }
  lock.signal.removeEventListener('abort', stop)
  if (isLost) return exitCodes.LOST
  return (await release(lock, request, tell)) === false ? exitCodes.LOST : code
}

/** `false`: it was gone. A failure is no reason to say that the work failed: the ttl ends the lock. */
async function release(lock, { ttl }, tell) {
  try {
    const released = await lock.release()
    if (released) tell('released', {}, 'released')
    else tell('lost', {}, 'the lock was gone before the command had ended', 'trouble')
    return released
  } catch (error) {
    const { text } = explain(error)
    const message = `not released, so it is free in ${inWords(ttl)}: ${text}`
    tell('not-released', { code: error.code, message: text }, message, 'trouble')
  }
}

function grant({ key, owner, fencingToken, acquireDelay: waited }) {
  return { key, owner, fencingToken, waited }
}

function environment({ resource, key, owner, fencingToken }) {
  return {
    DIST_LOCK_TOKEN: fencingToken === undefined ? '' : String(fencingToken),
    DIST_LOCK_RESOURCE: resource,
    DIST_LOCK_KEY: key,
    DIST_LOCK_OWNER: owner,
  }
}

/** What happens to the lock goes to stderr: stdout is the command's. */
function teller({ verbose, json }, resource) {
  return (event, details, text, importance = 'detail') => {
    if (json) process.stderr.write(`${JSON.stringify({ event, resource, ...details })}\n`)
    else if (verbose || importance === 'trouble') {
      process.stderr.write(`dist-lock: ${resource}: ${text}\n`)
    }
  }
}

module.exports = { summary, help, options, takesCommand, execute }
