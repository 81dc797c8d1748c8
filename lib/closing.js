'use strict'

const { Release } = require('./calls.js')
const { carryOut } = require('./dispatch.js')
const engine = require('./engine.js')
const { closed } = require('./errors.js')

/** Release of a lock that is known by its key alone. */
class ReleaseKey extends Release {
  #name

  constructor(manager, name, id) {
    const key = name.slice(manager.source.prefix().length)
    super(manager, manager.resourceOf(key), id)
    this.key = key
    this.#name = name
  }

  get name() {
    return this.#name
  }
}

/**
 * Ends a manager: who waits is told that it was closed, nothing is renewed any more, and, where that
 * is asked for, what it holds is released. Locks that are not released live until their ttl ends.
 *
 * @param {import('./manager.js').Manager} manager
 * @param {{ release?: boolean }} [options]
 * @returns {Promise<void>} fulfilled when all of it is done
 */
async function close(manager, options = {}) {
  const release = mustRelease(options)
  if (manager.isClosed) return
  for (const [number, call] of engine.calls.entries()) {
    if (call?.manager === manager && call.waits && !call.isCancelled) {
      engine.cancel(number, closed(call.resource, 'the manager'))
    }
  }
  manager.isClosed = true
  const releases = []
  const lockers = manager.takeLockers()
  for (const locker of lockers) {
    for (const [key, id] of engine.held(locker.number, manager.number)) {
      engine.forget(locker.number, id)
      if (release) releases.push(releaseKey(manager, locker, key, id))
    }
  }
  try {
    await Promise.all(releases)
  } finally {
    for (const locker of lockers) locker.letGo()
  }
}

function releaseKey(manager, locker, key, id) {
  const call = new ReleaseKey(manager, key, id)
  return new Promise((resolve, reject) => {
    call.resolve = resolve
    call.reject = reject
    carryOut(call, locker)
  })
}

function mustRelease(options) {
  const { release = false } = options
  if (typeof release === 'boolean') return release
  throw new TypeError(`Expected \`release\` to be a boolean; got ${typeof release}`)
}

module.exports = { close }
