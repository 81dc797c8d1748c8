'use strict'

const engine = require('./engine.js')

/** A native locker, which is let go when no manager uses it any more. */
class Locker {
  constructor(number) {
    this.number = number
  }
}

const unused = new FinalizationRegistry(engine.close)

/**
 * The lockers in use, by the settings they were opened with: settings objects keep their identity
 * while nothing changes.
 *
 * @type {WeakMap<object, Map<string, Locker>>}
 */
const opened = new WeakMap()

/**
 * @param {import('./settings.js').ConnectionSettings} settings
 * @param {{ connectTimeout: number, commandTimeout: number }} timeouts   in milliseconds
 * @returns {Locker}
 */
function lockerFor(settings, timeouts) {
  let byTimeouts = opened.get(settings)
  if (byTimeouts === undefined) opened.set(settings, (byTimeouts = new Map()))

  const { connectTimeout, commandTimeout } = timeouts
  const key = `${connectTimeout} ${commandTimeout}`
  let locker = byTimeouts.get(key)
  if (locker === undefined) {
    locker = new Locker(engine.open(settings, timeouts))
    unused.register(locker, locker.number)
    byTimeouts.set(key, locker)
  }
  return locker
}

/** Lets go of the lockers with these settings; connections close once their calls have ended. */
function closeLockers(settings) {
  for (const locker of opened.get(settings)?.values() ?? []) engine.close(locker.number)
  opened.delete(settings)
}

module.exports = { lockerFor, closeLockers }
