'use strict'

/**
 * A lock that is renewed, of a library that renews only around a function.
 *
 * @param {(routine: (signal: AbortSignal) => Promise<void>) => Promise<unknown>} using
 * @returns {Promise<import('./index.js').Guarded>}
 */
function guardedBy(using) {
  return new Promise((resolve, reject) => {
    const routine = (signal) =>
      new Promise((release) => {
        resolve({ isHeld: () => !signal.aborted, release })
      })
    using(routine).catch(reject)
  })
}

module.exports = { guardedBy }
