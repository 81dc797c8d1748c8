'use strict'

const { onAbort } = require('./abort.js')
const engine = require('./engine.js')
const { watch } = require('./watch.js')

/**
 * Carries out one call: over a callback where there is one, else over a promise.
 *
 * @param {import('./calls.js').Call} call
 * @param {((error: unknown, value?: unknown) => unknown) | undefined} callback
 * @returns {Promise<unknown> | undefined}
 */
function dispatch(call, callback) {
  if (callback !== undefined) {
    call.callback = callback
    return start(call)
  }
  return new Promise((resolve, reject) => {
    call.resolve = resolve
    call.reject = reject
    start(call)
  })
}

function start(call) {
  const { manager, signal } = call
  if (signal?.aborted) return process.nextTick(fail, call, signal.reason)

  let locker
  try {
    manager.mustBeOpen(call.resource)
    locker = manager.locker()
  } catch (error) {
    return process.nextTick(fail, call, error)
  }
  const number = carryOut(call, locker)
  if (signal) cancelOnAbort(call, number)
}

/** Carries out a call in `locker`, whatever has become of its manager since, and returns its number. */
function carryOut(call, locker) {
  const number = engine.begin(call)
  call.submit(number, locker)
  watch(call)
  return number
}

function fail(call, error) {
  call.fail(error)
}

function cancelOnAbort(call, number) {
  const { signal } = call
  call.ended = onAbort(signal, () => engine.cancel(number, signal.reason))
}

module.exports = { carryOut, dispatch }
