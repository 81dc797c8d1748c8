'use strict'

const engine = require('./engine.js')

/**
 * The native lockers in use, by the settings they were opened with. Settings objects keep their
 * identity while nothing changes, so finding one is a look into a map.
 *
 * @type {WeakMap<object, Map<string, ReturnType<typeof engine.open>>>}
 */
const opened = new WeakMap()

/**
 * @param {import('./settings.js').ConnectionSettings} settings
 * @param {number} connectTimeout
 * @param {number} commandTimeout
 */
function lockerFor(settings, connectTimeout, commandTimeout) {
  let byTimeouts = opened.get(settings)
  if (byTimeouts === undefined) opened.set(settings, (byTimeouts = new Map()))

  const timeouts = `${connectTimeout} ${commandTimeout}`
  let locker = byTimeouts.get(timeouts)
  if (locker === undefined) {
    locker = engine.open(settings, { connectTimeout, commandTimeout })
    byTimeouts.set(timeouts, locker)
  }
  return locker
}

/** Lets go of the connections with these settings; they close once their calls have ended. */
function closeLockers(settings) {
  for (const locker of opened.get(settings)?.values() ?? []) locker.close()
  opened.delete(settings)
}

module.exports = { lockerFor, closeLockers }
