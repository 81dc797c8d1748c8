'use strict'

// Node loads it when it is first used, which the first waiter of a process would wait for (0.7 ms).
const { performance } = require('node:perf_hooks')
const engine = require('./engine.js')
const { LockLostError } = require('./errors.js')

/** Locks whose handle nobody has any more are renewed no more. */
const collected = new FinalizationRegistry(({ locker, id }) => engine.forget(locker.number, id))

/**
 * The lock people hold: what version 2 put into it are its own properties, plain and writable. Its
 * methods go through the manager's `releaseLock` and `extendLock` as they are at that moment, and
 * work detached from the lock. What is new lies beside that, on the prototype.
 */
class Lock {
  #locks
  #locker
  #resource
  #id
  #token
  #isReleased = false
  #isOfAnother = false
  /** When its time was to be over. */
  #ends
  #controller

  /**
   * @param {object} locks   the manager people call
   * @param {object} locker   where it is held; it must live as long as the lock
   * @param {number} [token]   its fencing token
   * @param {number} [ttl]   for how long it is held at most, in milliseconds
   */
  constructor(locks, locker, resource, key, id, owner, token, ttl = 0) {
    this.#locks = locks
    this.#locker = locker
    this.#resource = resource
    this.#id = id
    this.#token = token
    this.#ends = performance.now() + ttl
    this.key = key
    this.id = id
    this.owner = owner
    this.release = (callback) => {
      if (callback === undefined) return this.#release()
      locks.releaseLock(resource, id, callback)
    }
    this.extend = (milliseconds, callback) => {
      if (callback === undefined && typeof milliseconds !== 'function') {
        return this.#extend(milliseconds)
      }
      locks.extendLock(resource, id, milliseconds, callback)
    }
  }

  /** What is known of the lock is what the store said when it was asked. */
  static isOfAnother(lock) {
    lock.#isOfAnother = true
  }

  /** Renews the lock for as long as somebody has this handle. */
  static isRenewed(lock) {
    collected.register(lock, { locker: lock.#locker, id: lock.#id })
  }

  get resource() {
    return this.#resource
  }

  get ttl() {
    return engine.ttl(this.#locker.number, this.#id)
  }

  get fencingToken() {
    return this.#token
  }

  get remaining() {
    const remaining = engine.remaining(this.#locker.number, this.#id)
    if (remaining > 0 || !this.#isOfAnother) return remaining
    return Math.max(0, this.#ends - performance.now())
  }

  get state() {
    if (this.#isReleased) return 'released'
    const state = engine.state(this.#locker.number, this.#id)
    if (state !== 'gone') return state
    // It was given back by its id, or it ended so long ago that nobody remembers how.
    return performance.now() < this.#ends ? 'released' : 'lost'
  }

  get signal() {
    this.#controller ??= this.#watch()
    const { signal } = this.#controller
    // The event loop may have been blocked since the lease was over.
    if (!signal.aborted && this.state === 'lost') {
      const reason = engine.loss(this.#locker.number, this.#id)
      this.#controller.abort(new LockLostError(this.#resource, reason))
    }
    return signal
  }

  /** Tells `listener`, once, how a lock ended. */
  static onEnd(lock, listener) {
    engine.watch(lock.#locker.number, lock.#id, listener)
  }

  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.#release().then(() => {})
  }

  async #release() {
    return this.#notice(await this.#locks.releaseLock(this.#resource, this.#id), 0)
  }

  async #extend(milliseconds) {
    const extended = await this.#locks.extendLock(this.#resource, this.#id, milliseconds)
    return this.#notice(extended, milliseconds)
  }

  #notice(done, milliseconds) {
    if (done === true && milliseconds <= 0) this.#isReleased = true
    else if (done === true) this.#ends = Math.max(this.#ends, performance.now() + milliseconds)
    return done
  }

  #watch() {
    const controller = new AbortController()
    if (this.state === 'released') return controller
    // Neither may keep the handle from being collected, which ends its renewal.
    const resource = this.#resource
    engine.watch(this.#locker.number, this.#id, (reason) => {
      if (reason !== 'released') controller.abort(new LockLostError(resource, reason))
    })
    return controller
  }
}

// As plain objects do: no constructor of its own, and whoever writes a property has it.
delete Lock.prototype.constructor
for (const name of ['resource', 'ttl', 'fencingToken', 'remaining', 'state', 'signal']) {
  Object.defineProperty(Lock.prototype, name, {
    set(value) {
      const own = { value, writable: true, enumerable: true, configurable: true }
      Object.defineProperty(this, name, own)
    },
  })
}

module.exports = { Lock }
