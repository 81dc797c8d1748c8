'use strict'

const engine = require('./engine.js')
const { closed } = require('./errors.js')
const { lockerFor } = require('./lockers.js')
const option = require('./options.js')
const { watch } = require('./watch.js')

/**
 * Carries out one call: over a callback where there is one, else over a promise.
 *
 * @param {object} call
 * @param {import('./source.js').Source} call.source
 * @param {object} call.options   the manager's
 * @param {string} call.resource
 * @param {((error: unknown, value?: unknown) => unknown) | undefined} call.callback
 * @param {AbortSignal} [call.signal]
 * @param {(locker: any, number: number) => void} call.send   hands the call to the core
 * @returns {Promise<unknown> | undefined}
 */
function dispatch(call) {
  if (call.callback) return start(call, call.callback)
  return new Promise((resolve, reject) => {
    start(call, (error, value) => (error === null ? resolve(value) : reject(error)))
  })
}

function start(call, done) {
  const { source, signal } = call
  call.done = done
  if (signal?.aborted) return process.nextTick(done, signal.reason)

  let number
  try {
    if (source.closed()) throw closed(call.resource)
    const locker = lockerOf(call)
    number = engine.begin(call)
    call.send(locker, number)
  } catch (error) {
    if (number !== undefined) engine.forget(number)
    return process.nextTick(done, error)
  }
  watch()
  if (signal) cancelOnAbort(call, number)
}

/** The caller's client may have changed its database or password since the last call. */
function lockerOf({ source, options }) {
  return lockerFor(
    source.settings(),
    option.connectionTimeout(options, 'connectTimeout'),
    option.connectionTimeout(options, 'commandTimeout'),
  )
}

function cancelOnAbort(call, number) {
  const { signal, done } = call
  const abort = () => engine.cancel(number, signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  call.done = (...outcome) => {
    signal.removeEventListener('abort', abort)
    done(...outcome)
  }
}

module.exports = { dispatch }
