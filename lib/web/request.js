'use strict'

const { Acquire } = require('../calls.js')
const { dispatch } = require('../dispatch.js')
const { LockLostError } = require('../errors.js')
const { Lock } = require('../lock.js')
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
  request.signal?.throwIfAborted()

  const entry = { name, mode }
  manager.requests.add(entry)
  try {
    const lock = await granted(new Acquire(manager, encode(name), owner, request))
    if (lock !== false) return await hold(lock, name, mode, callback)
    if (!ifAvailable) throw new DOMException('The lock was not granted in time', 'TimeoutError')
  } finally {
    manager.requests.delete(entry)
  }
  return await callback(null)
}

/** The lock; an abort of the signal is told at once, whatever is still on its way. */
function granted(call) {
  const { signal } = call.request
  const acquired = dispatch(call)
  if (signal === undefined) return acquired
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    acquired.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Runs the callback while the lock is held; rejects at once when it is lost. */
async function hold(lock, name, mode, callback) {
  const { lost, forget } = watch(lock, name)
  try {
    const value = await Promise.race([lost, run(callback, WebLock.of(name, mode, lock))])
    if (!(await released(lock))) throw aborted(new LockLostError(name, 'taken'))
    return value
  } catch (error) {
    await released(lock)
    throw error
  } finally {
    forget()
  }
}

async function run(callback, lock) {
  return callback(lock)
}

/** `false`: it was lost before. A release that fails is tried again in the background. */
async function released(lock) {
  try {
    return await lock.release()
  } catch {
    return true
  }
}

function watch(lock, name) {
  let forget
  const lost = new Promise((resolve, reject) => {
    forget = resolve
    Lock.onEnd(lock, (reason) => {
      if (reason !== 'released') reject(aborted(new LockLostError(name, reason)))
    })
  })
  // It may be lost while nobody looks.
  lost.catch(() => {})
  return { lost, forget }
}

/** What the web says of a lock that was stolen; ours may be lost in other ways too. */
function aborted(cause) {
  const error = new DOMException('The lock was stolen or lost', 'AbortError')
  Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true })
  return error
}

module.exports = { request }
