'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { LockError } = require('../../index.js')

/** What a loaded machine may add to any time, in milliseconds. */
const NOISE = 3000

/** The four calls, each over a promise and over a callback; `resource` is theirs alone. */
const CALLS = Object.entries({
  acquire: (locks, resource, ...callback) => locks.acquire(resource, ...callback),
  releaseLock: (locks, resource, ...callback) =>
    locks.releaseLock(resource, 'some-id', ...callback),
  extendLock: (locks, resource, ...callback) =>
    locks.extendLock(resource, 'some-id', 5, ...callback),
  getAcquiredLock: (locks, resource, ...callback) => locks.getAcquiredLock(resource, ...callback),
}).flatMap(([method, call]) => [
  {
    name: `${method} over a promise`,
    resource: `${method}-promise`,
    start: (locks) => call(locks, `${method}-promise`),
  },
  {
    name: `${method} over a callback`,
    resource: `${method}-callback`,
    start: (locks) => called((callback) => call(locks, `${method}-callback`, callback)),
  },
])

/** A call with a callback as a promise; the callback must be called as the manual says. */
function called(start) {
  return new Promise((resolve, reject) => {
    start((...outcome) => {
      const [error, value] = outcome
      if (error === null) resolve(value)
      else if (value === undefined) reject(error)
      else reject(new assert.AssertionError({ message: 'the callback got an error and a value' }))
    })
  })
}

/**
 * The error that a call ends with, once it has; a value is a failed test.
 *
 * @param {Promise<unknown>} call
 * @param {number} limit milliseconds from now by which it must have ended, apart from the noise
 */
async function failure(call, limit) {
  const started = performance.now()
  const outcome = await Promise.race([
    call.then(
      (value) => ({ value }),
      (error) => ({ error }),
    ),
    sleep(limit + NOISE + 4000, { late: true }, { ref: false }),
  ])
  const elapsed = Math.round(performance.now() - started)

  assert.ok(!('value' in outcome), `it answered ${outcome.value} instead of failing`)
  assert.ok(!outcome.late && elapsed <= limit + NOISE, `it took ${elapsed} ms and had ${limit}`)
  return outcome.error
}

/**
 * Asserts that `error` is a LockError with these details; `cause` is the code of its cause, or a
 * pattern for what the cause says.
 */
function assertLockError(error, { code, redisCode, cause, resource }) {
  assert.ok(error instanceof LockError, `not a LockError: ${error?.stack ?? error}`)
  assert.ok(error instanceof Error)
  assert.equal(error.name, 'LockError')
  assert.equal(error.code, code, error.message)
  assert.equal(error.redisCode, redisCode)
  assert.equal(error.resource, resource)
  assert.ok(error.cause instanceof Error, 'it has no cause')
  if (cause instanceof RegExp) assert.match(error.cause.message, cause)
  else assert.equal(error.cause.code, cause, error.cause.message)
}

/**
 * Waits until `check` returns something true, and returns that.
 *
 * @param {() => unknown} check
 * @param {string} what is waited for, for the message when it does not come
 * @param {number} [within] milliseconds
 */
async function eventually(check, what, within = 15000) {
  const end = performance.now() + within
  for (;;) {
    const result = await check()
    if (result) return result
    assert.ok(performance.now() < end, `not within ${within} ms: ${what}`)
    await sleep(10)
  }
}

module.exports = { called, CALLS, NOISE, failure, assertLockError, eventually }
