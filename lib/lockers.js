'use strict'

const engine = require('./engine.js')

/** A native locker, which is let go when no manager uses it any more. */
class Locker {
  /** Managers that use it and were not closed. */
  #users = 0
  #forget

  /** @param {() => void} forget   makes that nobody finds it any more */
  constructor(number, settings, forget) {
    this.number = number
    this.isCluster = settings.cluster !== undefined
    this.#forget = forget
  }

  use() {
    this.#users += 1
  }

  /** A manager was closed. */
  letGo() {
    this.#users -= 1
    if (this.#users > 0) return
    this.#forget()
    engine.close(this.number)
  }
}

const unused = new FinalizationRegistry(engine.drop)

/**
 * The lockers in use, by the settings they were opened with: settings objects keep their identity
 * while nothing changes.
 *
 * @type {WeakMap<object, Map<string, Locker>>}
 */
const opened = new WeakMap()

/**
 * @param {import('./settings.js').ConnectionSettings} settings
 * @param {Record<string, number>} options   of the connection, see `options.js`
 * @returns {Locker}
 */
function lockerFor(settings, options) {
  let byOptions = opened.get(settings)
  if (byOptions === undefined) opened.set(settings, (byOptions = new Map()))

  const key = Object.values(options).join(' ')
  let locker = byOptions.get(key)
  if (locker === undefined) {
    locker = new Locker(engine.open(settings, options), settings, () => byOptions.delete(key))
    unused.register(locker, locker.number)
    byOptions.set(key, locker)
  }
  return locker
}

/** Lets go of the lockers with these settings; connections close once their calls have ended. */
function closeLockers(settings) {
  for (const locker of opened.get(settings)?.values() ?? []) engine.close(locker.number)
  opened.delete(settings)
}

module.exports = { lockerFor, closeLockers }
