'use strict'

const { Lock } = require('../lock.js')

/**
 * To watch a lock costs as much as to acquire one, and most are released sooner than anybody could take them
 * away. So it begins after this many milliseconds; what happened before is told then.
 */
const SOON = 5

/** @type {End[]} */
let young = []

/** How the lock of a request ends. */
class End {
  #lock
  #how = undefined
  #told = undefined
  #isOld = false
  /** The callback is done: what is left to hear is that its time is over. */
  isReleasing = false
  /** Nobody wants to know any more. */
  isPast = false

  constructor(lock) {
    this.#lock = lock
    this.#begin()
  }

  #begin() {
    if (young.push(this) === 1) setTimeout(watchAll, SOON).unref?.()
  }

  /**
   * Resolves with what `start` tells the function that it is given, or with how the lock is lost: when it
   * ends other than by our release.
   *
   * @param {(done: (value?: unknown) => void) => void} start
   */
  or(start) {
    return new Promise((resolve) => {
      if (this.#how !== undefined) return resolve(this.#how)
      this.#told = resolve
      start(resolve)
    })
  }

  #tell(how) {
    this.#how = how
    this.#told(how)
  }

  watch() {
    if (this.isPast) return
    // Its release is most likely to be answered in a moment.
    if (this.isReleasing && !this.#isOld) {
      this.#isOld = true
      return this.#begin()
    }
    const lock = this.#lock
    if (!this.isReleasing && lock.state === 'released') return this.#tell('released')
    Lock.onEnd(lock, (how) => {
      if (!this.isReleasing || how === 'over') this.#tell(how)
    })
  }
}

function watchAll() {
  const due = young
  young = []
  for (const end of due) end.watch()
}

module.exports = { End }
