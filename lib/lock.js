'use strict'

/**
 * The lock people hold: a plain object, as in version 2. Its methods go through the manager's
 * `releaseLock` and `extendLock` as they are at that moment, and work detached from the lock.
 */
function createLock(locks, resource, key, id, owner) {
  return {
    key,
    id,
    owner,
    release(callback) {
      if (callback === undefined) return locks.releaseLock(resource, id)
      locks.releaseLock(resource, id, callback)
    },
    extend(milliseconds, callback) {
      if (callback === undefined && typeof milliseconds !== 'function') {
        return locks.extendLock(resource, id, milliseconds)
      }
      locks.extendLock(resource, id, milliseconds, callback)
    },
  }
}

module.exports = { createLock }
