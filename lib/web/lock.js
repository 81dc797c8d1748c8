'use strict'

/** Makes that nobody else constructs one. */
const OURS = Symbol('made by request')

/** The lock that the callback of `request` is given: the web's, and what only a lock in Redis has. */
class WebLock {
  #name
  #mode
  #lock

  constructor(ours, name, mode, lock) {
    if (ours !== OURS) throw new TypeError('Illegal constructor')
    this.#name = name
    this.#mode = mode
    this.#lock = lock
  }

  /** @internal */
  static of(name, mode, lock) {
    return new WebLock(OURS, name, mode, lock)
  }

  get name() {
    return this.#name
  }

  get mode() {
    return this.#mode
  }

  get fencingToken() {
    return this.#lock.fencingToken
  }

  get remaining() {
    return this.#lock.remaining
  }

  get signal() {
    return this.#lock.signal
  }

  extend(milliseconds) {
    return this.#lock.extend(milliseconds)
  }

  get [Symbol.toStringTag]() {
    return 'Lock'
  }
}

for (const name of ['name', 'mode', 'fencingToken', 'remaining', 'signal', 'extend']) {
  Object.defineProperty(WebLock.prototype, name, { enumerable: true })
}

module.exports = { WebLock }
