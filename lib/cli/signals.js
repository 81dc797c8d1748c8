'use strict'

/** What asks a program to end, and is passed on to the command it runs. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Calls `listener` with the name of each signal that comes, instead of ending the process.
 *
 * @param {(name: NodeJS.Signals) => void} listener
 * @returns {() => void} puts things back
 */
function onSignal(listener) {
  const listeners = SIGNALS.map((name) => [name, () => listener(name)])
  for (const [name, listener] of listeners) process.on(name, listener)
  return () => {
    for (const [name, listener] of listeners) process.removeListener(name, listener)
  }
}

module.exports = { onSignal }
