'use strict'

const engine = require('./engine.js')

/**
 * The native lockers in use, by the settings they were opened with: settings objects keep their
 * identity while nothing changes.
 *
 * @type {WeakMap<object, Map<string, ReturnType<typeof engine.open>>>}
 */
const opened = new WeakMap()

/**
 * @param {import('./settings.js').ConnectionSettings} settings
 * @param {{ connectTimeout: number, commandTimeout: number }} timeouts   in milliseconds
 */
function lockerFor(settings, timeouts) {
  let byTimeouts = opened.get(settings)
  if (byTimeouts === undefined) opened.set(settings, (byTimeouts = new Map()))

  const { connectTimeout, commandTimeout } = timeouts
  const key = `${connectTimeout} ${commandTimeout}`
  let locker = byTimeouts.get(key)
  if (locker === undefined) {
    locker = engine.open(settings, { connectTimeout, commandTimeout })
    byTimeouts.set(key, locker)
  }
  return locker
}

/** Lets go of the connections with these settings; they close once their calls have ended. */
function closeLockers(settings) {
  for (const locker of opened.get(settings)?.values() ?? []) locker.close()
  opened.delete(settings)
}

module.exports = { lockerFor, closeLockers }
