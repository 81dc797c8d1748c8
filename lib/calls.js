'use strict'

const { dispatch } = require('./dispatch.js')
const { outbox } = require('./engine.js')
const { createLock } = require('./lock.js')

/** One call of a manager: what it asks the core for, and how its answer looks to the caller. */
class Call {
  /** How its outcome reaches the caller: by the callback or by the promise. */
  callback = undefined
  resolve = undefined
  reject = undefined

  signal = undefined
  /** Undoes what was done for its signal. */
  ended = undefined
  isCancelled = false
  /** Its outcome is in the batch that is being gone through. */
  arrived = false
  reason = undefined
  /** Looks that found its client closed, see `watch.js`. */
  looks = 0

  /**
   * @param {import('./manager.js').Manager} manager
   * @param {string} resource
   */
  constructor(manager, resource) {
    this.manager = manager
    this.resource = resource
    this.key = manager.keyOf(resource)
  }

  /** The key in Redis, which the caller's client may put a prefix of its own to. */
  get name() {
    return this.manager.source.prefix() + this.key
  }

  /** Tells the caller, once. */
  succeed(value) {
    // Called by itself: `this` is undefined, as in version 2.
    const { callback } = this
    if (callback === undefined) this.resolve(value)
    else callback(null, value)
  }

  /** Tells the caller, once. */
  fail(error) {
    const { callback } = this
    if (callback === undefined) this.reject(error)
    else callback(error)
  }
}

class Acquire extends Call {
  constructor(manager, resource, owner, request) {
    super(manager, resource)
    this.owner = owner
    this.request = request
    this.signal = request.signal
  }

  /** Whether it waits for somebody else, rather than for Redis. */
  get waits() {
    return true
  }

  submit(number, locker) {
    const { ttl, retryDelay, maxRetries, timeout } = this.request
    outbox.acquire(number, locker, this.name, this.owner, ttl, retryDelay, maxRetries, timeout)
  }

  granted(id, attempts, waited) {
    const lock = createLock(this.manager.locks, this.resource, this.key, id, this.owner)
    lock.acquiredOnAttempt = attempts
    lock.acquireDelay = waited
    return lock
  }

  /** The lock was granted to a caller who does not want it any more. */
  giveBack(id) {
    dispatch(new Release(this.manager, this.resource, id), () => {})
  }
}

class Release extends Call {
  constructor(manager, resource, id) {
    super(manager, resource)
    this.id = id
  }

  submit(number, locker) {
    outbox.release(number, locker, this.name, this.id)
  }
}

class Extend extends Call {
  constructor(manager, resource, id, milliseconds) {
    super(manager, resource)
    this.id = id
    this.milliseconds = milliseconds
  }

  submit(number, locker) {
    outbox.extend(number, locker, this.name, this.id, this.milliseconds)
  }
}

class Read extends Call {
  submit(number, locker) {
    outbox.read(number, locker, this.name)
  }

  held(id, owner) {
    return createLock(this.manager.locks, this.resource, this.key, id, owner)
  }
}

module.exports = { Acquire, Release, Extend, Read }
