'use strict'

const { onAbort } = require('../abort.js')
const { Acquire, Release } = require('../calls.js')
const { dispatch } = require('../dispatch.js')
const engine = require('../engine.js')
const { LockLostError, closed } = require('../errors.js')
const { End } = require('./end.js')
const { WebLock } = require('./lock.js')
const { encode } = require('./name.js')
const { notSupported, requestOptions } = require('./options.js')

/**
 * `locks.request` of the Web Locks API: holds a lock while the callback runs, and returns what that does.
 *
 * @param {import('../manager.js').Manager} manager
 * @param {any[]} args   name[, options], callback
 */
async function request(manager, args) {
  if (args.length < 2) throw new TypeError('Expected a name and a callback')
  const name = `${args[0]}`
  const callback = args.length > 2 ? args[2] : args[1]
  if (typeof callback !== 'function') throw new TypeError('Expected the callback to be a function')
  const options = args.length > 2 ? args[1] : undefined
  const { mode, ifAvailable, owner, request } = requestOptions(manager, options)
  if (name.startsWith('-')) throw notSupported("a name must not start with '-'")
  const { signal } = request
  if (signal?.aborted) throw signal.reason

  const entry = { name, mode, ifAvailable, lock: undefined }
  manager.requests.add(entry)
  try {
    const acquired = dispatch(new AcquireForRequest(manager, encode(name), owner, request))
    if (signal) await settledOrAborted(acquired, signal)
    const lock = signal?.aborted ? undefined : await acquired
    // Until the callback is called an abort counts, also one that crosses the grant.
    if (signal?.aborted) {
      acquired.then((lock) => lock && release(manager, lock, nothing), nothing)
      throw signal.reason
    }
    if (lock !== false) {
      entry.lock = lock
      return await hold(manager, lock, name, mode, callback)
    }
    if (!ifAvailable) throw new DOMException('The lock was not granted in time', 'TimeoutError')
  } finally {
    manager.requests.delete(entry)
  }
  return await callback(null)
}

function nothing() {}

async function settledOrAborted(acquired, signal) {
  let forget
  const aborted = new Promise((resolve) => (forget = onAbort(signal, resolve)))
  try {
    await Promise.race([acquired, aborted])
  } finally {
    forget()
  }
}

/** A lock that its request holds, not who has the handle: nobody may let go of that before its callback ends. */
class AcquireForRequest extends Acquire {
  submit(number, locker) {
    const { request, manager } = this
    this.locker = locker
    engine.outbox.request(number, locker.number, this.name, this.owner, request, manager.number)
  }

  renews() {}
}

/** Runs the callback while the lock is held; rejects at once when it is lost. */
async function hold(manager, lock, name, mode, callback) {
  const end = new End(lock)
  let work
  try {
    work = callback(WebLock.of(name, mode, lock))
  } catch (error) {
    work = Promise.reject(error)
  }
  // What is no object is no promise, and done.
  if (typeof work === 'object' || typeof work === 'function') {
    work = resolved(work)
    const how = await end.or((done) => {
      const settled = () => done()
      work.then(settled, settled)
    })
    if (how === 'released' && manager.isClosed) throw closed(name, 'the manager')
    if (how !== undefined) throw aborted(name, how)
  }

  end.isReleasing = true
  // When its time is over there is nothing left to wait for.
  const wasOurs = await end.or((done) => release(manager, lock, done))
  end.isPast = true
  const value = await work
  if (wasOurs === false) throw aborted(name, 'taken')
  return value
}

/** Its `then` is looked for once, and may throw. */
async function resolved(work) {
  return work
}

/** Tells `done` with `false` if it was lost before. A release that fails is tried again in the background. */
function release(manager, { resource, id }, done) {
  const call = new Release(manager, resource, id)
  dispatch(call, (error, wasOurs) => done(error !== null || wasOurs))
}

/** What the web says of a lock that was stolen; ours may be lost in other ways too. */
function aborted(name, how) {
  const cause = new LockLostError(name, how === 'over' ? 'over' : 'taken')
  const error = new DOMException('The lock was stolen or lost', 'AbortError')
  Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true })
  return error
}

module.exports = { request }
