'use strict'

const channels = require('./diagnostics/channels.js')
const { carryOut } = require('./dispatch.js')
const engine = require('./engine.js')
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
    engine.outbox.acquire(number, locker.number, this.name, this.owner, request, manager.number)
  }

  granted(id, attempts, waited, token) {
    const { manager, resource, key, owner } = this
    const { autoExtend } = this.request
    const ttl = autoExtend ? Infinity : this.request.ttl
    token ||= undefined
    const lock = new Lock(manager.locks, this.locker, resource, key, id, owner, token, ttl)
    lock.acquiredOnAttempt = attempts
    lock.acquireDelay = waited
    if (autoExtend) this.renews(lock)
    return lock
  }

  /** It is renewed for as long as somebody has the handle. */
  renews(lock) {
    Lock.isRenewed(lock)
  }

  succeed(lock) {
    const { stats } = this.manager
    if (lock === false) stats.taken += 1
    else {
      stats.acquire(lock.acquireDelay)
      if (channels.grant.hasSubscribers) channels.grant.publish(this.tellGrant(lock))
      if (channels.lost.hasSubscribers) this.watchLoss(lock)
    }
    super.succeed(lock)
  }

  fail(error) {
    const { stats } = this.manager
    if (this.signal?.aborted) stats.aborted += 1
    else stats.failed += 1
    super.fail(error)
  }

  /** What is told of a lock: all but its id, with which anybody could release it. */
  tellGrant(lock) {
    const { resource, key, owner } = this
    const { fencingToken, acquiredOnAttempt: attempts, acquireDelay: waited } = lock
    return { resource, key, owner, fencingToken, ttl: this.request.ttl, attempts, waited }
  }

  watchLoss(lock) {
    const granted = performance.now()
    const { resource, key, owner, fencingToken } = this.tellGrant(lock)
    engine.watch(this.locker.number, lock.id, (reason) => {
      if (reason === 'released') return
      const held = Math.round(performance.now() - granted)
      channels.lost.publish({ resource, key, owner, fencingToken, held, reason })
    })
  }

  /** The lock was granted to a caller who does not want it any more. */
  giveBack({ id }) {
    this.giveBackOne(this.resource, id)
  }

  giveBackOne(resource, id) {
    carryOut(new GiveBack(this.manager, resource, id), this.locker)
  }
}

/** A call that changes a lock, given its id. */
class Change extends Call {
  /** For how many milliseconds the lock was held; negative, if nobody here knows. */
  held = -1
  /** Its fencing token; 0, if nobody here knows. */
  token = 0

  constructor(manager, resource, id) {
    super(manager, resource)
    this.id = id
  }

  /** It was done. */
  done(held, token) {
    this.held = held
    this.token = token
    return true
  }

  succeed(done) {
    if (done) this.count()
    if (this.channel.hasSubscribers) this.channel.publish(this.tell(done ? this.outcome : 'over'))
    super.succeed(done)
  }

  fail(error) {
    if (this.channel.hasSubscribers) this.channel.publish({ ...this.tell('failed'), error })
    super.fail(error)
  }

  tell(outcome) {
    const { resource, key } = this
    return { resource, key, fencingToken: this.token || undefined, outcome }
  }
}

class Release extends Change {
  get channel() {
    return channels.release
  }

  get outcome() {
    return 'released'
  }

  submit(number, locker) {
    engine.outbox.release(number, locker.number, this.name, this.id)
  }

  count() {
    this.manager.stats.release(this.held)
  }

  tell(outcome) {
    return { ...super.tell(outcome), held: this.held < 0 ? undefined : this.held }
  }
}

/** Release of a lock that its caller does not get: nobody is told, and if it fails, it is tried again in the background. */
class GiveBack extends Release {
  succeed() {}
  fail() {}
}

class Extend extends Change {
  constructor(manager, resource, id, milliseconds) {
    super(manager, resource, id)
    this.milliseconds = milliseconds
  }

  get channel() {
    return channels.extend
  }

  /** No time at all ends the lock. */
  get outcome() {
    return this.milliseconds > 0 ? 'extended' : 'released'
  }

  count() {
    this.manager.stats[this.outcome] += 1
  }

  tell(outcome) {
    return { ...super.tell(outcome), ttl: this.milliseconds }
  }

  submit(number, locker) {
    engine.outbox.extend(number, locker.number, this.name, this.id, this.milliseconds)
  }
}

class Read extends Call {
  submit(number, locker) {
    this.locker = locker
    engine.outbox.read(number, locker.number, this.name)
  }

  held(id, owner, left, token) {
    const { manager, locker, resource, key } = this
    const lock = new Lock(manager.locks, locker, resource, key, id, owner, token || undefined, left)
    Lock.isOfAnother(lock)
    return lock
  }
}

/** Frees a lock, whoever holds it. */
class ForceRelease extends Call {
  submit(number, locker) {
    engine.outbox.forceRelease(number, locker.number, this.name)
  }

  done() {
    return true
  }
}

/** Who holds and who waits for the keys of a manager. */
class Query extends Call {
  submit(number, locker) {
    engine.outbox.query(number, locker.number, this.name)
  }
}

/** How waiting works. */
class Info extends Call {
  submit(number, locker) {
    this.locker = locker
    engine.outbox.mode(number, locker.number)
  }

  mode(reason) {
    const mode = reason === undefined ? { mode: 'queue' } : { mode: 'classic', reason }
    return this.locker.isCluster ? { ...mode, cluster: true } : mode
  }
}

/** What the server says of itself. */
class Describe extends Call {
  submit(number, locker) {
    engine.outbox.describe(number, locker.number)
  }
}

module.exports = { Acquire, Release, Extend, Read, ForceRelease, Query, Info, Describe }
