'use strict'

const { dispatch } = require('./dispatch.js')
const { createLock } = require('./lock.js')
const option = require('./options.js')

/** The options of one acquire. */
const ACQUIRE_OPTIONS = ['owner', 'ttl', 'retryDelay', 'maxRetries', 'timeout', 'signal']

/**
 * The manager of version 2 on the core of version 3: its arguments, its validation, its texts.
 *
 * @param {import('./source.js').Source} source
 * @param {object} options   with defaults filled in, and read again at each call
 */
function createManager(source, options) {
  const locks = { acquire, getAcquiredLock, releaseLock, extendLock }
  return locks

  function acquire(resource, owner, callback) {
    if (typeof owner === 'function') {
      callback = owner
      owner = ''
    }
    mustBeCallback(callback)
    if (!isName(resource)) return refuse(callback, new Error(NAME))

    const own = isOptions(owner) ? owner : undefined
    if (own) owner = own.owner === undefined ? '' : own.owner
    else if (owner === undefined && callback === undefined) owner = ''
    if (typeof owner !== 'string') return refuse(callback, new Error('owner must be a string'))

    let request
    try {
      request = acquireOptions(own)
    } catch (error) {
      return refuse(callback, error)
    }
    const { ttl, retryDelay, maxRetries, timeout, signal } = request
    const key = keyOf(resource)

    return dispatch({
      source,
      options,
      resource,
      callback,
      signal,
      granted(id, attempts, waited) {
        const lock = createLock(locks, resource, key, id, owner)
        lock.acquiredOnAttempt = attempts
        lock.acquireDelay = waited
        return lock
      },
      send(locker, call) {
        const name = source.prefix() + key
        locker.acquire(call, name, owner, ttl, retryDelay, maxRetries, timeout)
      },
    })
  }

  function getAcquiredLock(resource, callback) {
    mustBeCallback(callback)
    if (!isName(resource)) return refuse(callback, new Error(NAME))

    const key = keyOf(resource)
    return dispatch({
      source,
      options,
      resource,
      callback,
      held: (id, owner) => createLock(locks, resource, key, id, owner),
      send: (locker, call) => locker.read(call, source.prefix() + key),
    })
  }

  function releaseLock(resource, id, callback) {
    mustBeCallback(callback)
    if (!isName(resource)) return refuse(callback, new Error(NAME))
    if (!isName(id)) return refuse(callback, new Error(ID))

    const key = keyOf(resource)
    return dispatch({
      source,
      options,
      resource,
      callback,
      send: (locker, call) => locker.release(call, source.prefix() + key, id),
    })
  }

  function extendLock(resource, id, milliseconds, callback) {
    mustBeCallback(callback)
    if (!isName(resource)) return refuse(callback, new Error(NAME))
    if (!isName(id)) return refuse(callback, new Error(ID))
    if (!milliseconds || typeof milliseconds !== 'number') {
      return refuse(callback, new Error('milliseconds is required and must be a number'))
    }

    const key = keyOf(resource)
    return dispatch({
      source,
      options,
      resource,
      callback,
      send: (locker, call) => locker.extend(call, source.prefix() + key, id, milliseconds),
    })
  }

  /** As version 2 joined them: `null` is "null". */
  function keyOf(resource) {
    return option.current(options, 'keyPrefix') + resource
  }

  function acquireOptions(own) {
    for (const name in own) {
      if (!ACQUIRE_OPTIONS.includes(name)) {
        throw new TypeError(
          `Expected the options of acquire to be among ${ACQUIRE_OPTIONS.join(', ')}; got \`${name}\``,
        )
      }
    }
    return {
      ttl: option.ttl(option.ofCall(own, options, 'ttl')),
      retryDelay: option.retryDelay(option.ofCall(own, options, 'retryDelay')),
      maxRetries: option.maxRetries(option.ofCall(own, options, 'maxRetries')),
      timeout: option.timeout(own?.timeout),
      signal: option.signal(own?.signal),
    }
  }
}

const NAME = 'resourceName is required and must be a string'
const ID = 'id is required and must be a string'

function isName(value) {
  return typeof value === 'string' && value !== ''
}

/** An object that is no string, list, date or the like: those were refused as owners before. */
function isOptions(value) {
  return Object.prototype.toString.call(value) === '[object Object]'
}

function mustBeCallback(callback) {
  if (callback === undefined || typeof callback === 'function') return
  throw new TypeError('callback is not a function')
}

/** Version 2 told the callback before it returned, and returned what the callback did. */
function refuse(callback, error) {
  return callback ? callback(error) : Promise.reject(error)
}

module.exports = { createManager }
