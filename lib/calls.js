'use strict'

const { carryOut } = require('./dispatch.js')
const { outbox } = require('./engine.js')
const { Lock } = require('./lock.js')

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
  /** Where it is carried out. */
  locker = undefined
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
    const { request, manager } = this
    this.locker = locker
    outbox.acquire(number, locker.number, this.name, this.owner, request, manager.number)
  }

  granted(id, attempts, waited, token) {
    const { manager, resource, key, owner } = this
    const { autoExtend } = this.request
    const ttl = autoExtend ? Infinity : this.request.ttl
    token ||= undefined
    const lock = new Lock(manager.locks, this.locker, resource, key, id, owner, token, ttl)
    lock.acquiredOnAttempt = attempts
    lock.acquireDelay = waited
    if (autoExtend) Lock.isRenewed(lock)
    return lock
  }

  /** The lock was granted to a caller who does not want it any more. */
  giveBack(id) {
    const release = new Release(this.manager, this.resource, id)
    // Nobody is told: if it fails, it is tried again in the background.
    release.callback = () => {}
    carryOut(release, this.locker)
  }
}

class Release extends Call {
  constructor(manager, resource, id) {
    super(manager, resource)
    this.id = id
  }

  submit(number, locker) {
    outbox.release(number, locker.number, this.name, this.id)
  }
}

class Extend extends Call {
  constructor(manager, resource, id, milliseconds) {
    super(manager, resource)
    this.id = id
    this.milliseconds = milliseconds
  }

  submit(number, locker) {
    outbox.extend(number, locker.number, this.name, this.id, this.milliseconds)
  }
}

class Read extends Call {
  submit(number, locker) {
    this.locker = locker
    outbox.read(number, locker.number, this.name)
  }

  held(id, owner) {
    return new Lock(this.manager.locks, this.locker, this.resource, this.key, id, owner)
  }
}

/** How waiting works. */
class Info extends Call {
  submit(number, locker) {
    outbox.mode(number, locker.number)
  }

  mode(reason) {
    return reason === undefined ? { mode: 'queue' } : { mode: 'classic', reason }
  }
}

module.exports = { Acquire, Release, Extend, Read, Info }
