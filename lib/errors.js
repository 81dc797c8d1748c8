'use strict'

/**
 * Why a lock call could not be answered. That somebody else holds the lock is an answer, never
 * an error. `code` is stable, the message is not.
 */
class LockError extends Error {
  /**
   * @param {string} message
   * @param {object} details
   * @param {string} details.code   `ERR_LOCK_…`
   * @param {string} [details.resource]   the name that was to be locked, released, …
   * @param {string} [details.redisCode]   the first word of Redis's answer, with `ERR_LOCK_REDIS`
   * @param {number} [details.wanted]   with `ERR_LOCK_NOT_REPLICATED`, how many replicas should have it
   * @param {number} [details.got]   and how many do
   * @param {Error} [details.cause]   the failure underneath
   */
  constructor(message, { code, resource, redisCode, wanted, got, cause }) {
    super(message, cause && { cause })
    this.code = code
    if (resource !== undefined) this.resource = resource
    if (redisCode !== undefined) this.redisCode = redisCode
    if (wanted !== undefined) this.wanted = wanted
    if (got !== undefined) this.got = got
  }
}

// On the prototype, as the names of Node's own errors are, so that it is not printed twice.
Object.defineProperty(LockError.prototype, 'name', {
  value: 'LockError',
  configurable: true,
  writable: true,
})

/** A lock that somebody believed to hold is gone, or can no longer be proved: the reason of `lock.signal`. */
class LockLostError extends LockError {
  /**
   * @param {string} resource
   * @param {'taken' | 'over'} reason   the store said that it is not ours, or its lease is over
   */
  constructor(resource, reason) {
    const why = reason === 'taken' ? 'Redis does not know it any more' : 'its lease is over'
    super(`the lock is lost: ${why}`, { code: 'ERR_LOCK_LOST', resource })
  }
}

Object.defineProperty(LockLostError.prototype, 'name', {
  value: 'LockLostError',
  configurable: true,
  writable: true,
})

/**
 * The error for what the core reports: its numbers, its code and message, a code of the failure
 * underneath.
 */
function failure(resource, [wanted, got], code, message, detail, reason) {
  const cause = new Error(reason)
  if (detail !== undefined) cause.code = detail
  const redisCode = code === 'ERR_LOCK_REDIS' ? detail : undefined
  const replicas = code === 'ERR_LOCK_NOT_REPLICATED' ? { wanted, got } : {}
  return new LockError(message, { code, resource, redisCode, ...replicas, cause })
}

/** The program closed the manager, or the client that it was made from. */
function closed(resource, what = 'the client that dist-lock was made from') {
  const message = `${what} was closed`
  return new LockError(message, { code: 'ERR_LOCK_CLOSED', resource })
}

module.exports = { LockError, LockLostError, failure, closed }
