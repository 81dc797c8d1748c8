'use strict'

const { Acquire } = require('./calls.js')
const engine = require('./engine.js')

/** The length of an id of ours. */
const ID = 25

/** An acquire of several resources at once, or of none of them. */
class AcquireTogether extends Acquire {
  /** @param {string[]} resources */
  constructor(manager, resources, owner, request) {
    super(manager, '', owner, request)
    this.resource = resources
    this.key = resources.map((resource) => manager.keyOf(resource))
  }

  /** Each with its length in bytes before it. */
  get name() {
    const prefix = this.manager.source.prefix()
    const named = this.key.map((key) => `${Buffer.byteLength(prefix + key)}:${prefix}${key}`)
    return named.join('')
  }

  submit(number, locker) {
    this.locker = locker
    const { request, manager } = this
    engine.outbox.acquireAll(number, locker.number, this.name, this.owner, request, manager.number)
  }

  granted(ids, attempts, waited, token) {
    const locks = this.resource.map((resource, at) => {
      const one = new Acquire(this.manager, resource, this.owner, this.request)
      one.locker = this.locker
      return one.granted(ids.slice(at * ID, (at + 1) * ID), attempts, waited, token)
    })
    return new LocksTogether(locks)
  }

  giveBack({ locks }) {
    for (const lock of locks) this.giveBackOne(lock.resource, lock.id)
  }

  watchLoss({ locks }) {
    for (const lock of locks) super.watchLoss(lock)
  }
}

/** From the best to the worst that is known of a lock. */
const STATES = ['held', 'suspect', 'lost', 'released']

/** Several locks that were taken at once, as one. */
class LocksTogether {
  #controller

  /** @param {import('./lock.js').Lock[]} locks */
  constructor(locks) {
    const [first] = locks
    this.locks = locks
    this.owner = first.owner
    this.acquiredOnAttempt = first.acquiredOnAttempt
    this.acquireDelay = first.acquireDelay
  }

  get resource() {
    return this.locks.map((lock) => lock.resource)
  }

  get key() {
    return this.locks.map((lock) => lock.key)
  }

  get fencingToken() {
    return this.locks[0].fencingToken
  }

  get remaining() {
    return Math.min(...this.locks.map((lock) => lock.remaining))
  }

  get state() {
    return STATES[Math.max(...this.locks.map((lock) => STATES.indexOf(lock.state)))]
  }

  get signal() {
    this.#controller ??= this.#watch()
    return this.#controller.signal
  }

  async release() {
    return all(this.locks.map((lock) => lock.release()))
  }

  async extend(milliseconds) {
    return all(this.locks.map((lock) => lock.extend(milliseconds)))
  }

  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.release().then(() => {})
  }

  #watch() {
    const controller = new AbortController()
    for (const { signal } of this.locks) {
      const abort = () => controller.abort(signal.reason)
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
    }
    return controller
  }
}

/** Whether all are `true`; waits for all, and then fails if one has. */
async function all(promises) {
  const settled = await Promise.allSettled(promises)
  const failed = settled.find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
  return settled.every(({ value }) => value)
}

/**
 * Takes the locks one after the other, in the order of their keys, so that two who want the same never wait for
 * each other. If one is lost while the next is waited for, all are taken anew.
 *
 * @param {(resource: string, own: object) => Promise<import('./lock.js').Lock | false>} acquire
 */
async function acquireInTurn(acquire, resources, own) {
  const { inTurn, timeout, ...each } = own
  const ends = performance.now() + (timeout ?? Infinity)
  const inOrder = [...resources].sort()
  for (;;) {
    const byResource = new Map()
    try {
      for (const resource of inOrder) {
        const left = Math.max(0, ends - performance.now())
        const lock = await acquire(resource, { ...each, ...(left < Infinity && { timeout: left }) })
        if (lock === false) break
        byResource.set(resource, lock)
      }
    } catch (error) {
      await letGo(byResource)
      throw error
    }
    if (byResource.size === resources.length) {
      const together = new LocksTogether(resources.map((resource) => byResource.get(resource)))
      if (together.state !== 'lost') return together
    }
    await letGo(byResource)
    if (byResource.size < resources.length) return false
  }
}

/** What cannot be released now is released in the background. */
function letGo(locks) {
  return Promise.allSettled([...locks.values()].map((lock) => lock.release()))
}

/** Throws a `TypeError` unless these are names, each once. */
function checkResources(resources) {
  const expected = 'Expected the resources to be names, each once'
  const wrong = resources.find((resource) => typeof resource !== 'string' || resource === '')
  if (resources.includes(wrong)) throw new TypeError(`${expected}; got ${JSON.stringify(wrong)}`)
  if (new Set(resources).size < resources.length) throw new TypeError(`${expected}; got one twice`)
}

module.exports = { AcquireTogether, acquireInTurn, checkResources }
