'use strict'

/** What is to be done when a signal is aborted, by signal. */
const listening = new WeakMap()

/**
 * Calls `listener` when `signal` is aborted. There is one listener on a signal, however many calls it ends,
 * because Node warns of more than ten.
 *
 * @param {AbortSignal} signal   not aborted yet
 * @param {() => void} listener   must not throw
 * @returns {() => void} takes it back
 */
function onAbort(signal, listener) {
  const listeners = listening.get(signal) ?? listen(signal)
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) listeners.stop()
  }
}

function listen(signal) {
  const listeners = new Set()
  const tell = () => {
    for (const listener of listeners) listener()
  }
  listeners.stop = () => {
    signal.removeEventListener('abort', tell)
    if (listening.get(signal) === listeners) listening.delete(signal)
  }
  signal.addEventListener('abort', tell, { once: true })
  listening.set(signal, listeners)
  return listeners
}

module.exports = { onAbort }
