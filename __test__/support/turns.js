'use strict'

const assert = require('node:assert/strict')
const distLock = require('../..')
const { eventually } = require('./outcome.js')

/** 0, 1, 2 …: so many. */
const numbers = (count) => Array.from({ length: count }, (_, index) => index)

/** The key of those who wait for a resource. */
const queueOf = (resource) => `dist-lock:queue:{lock:${resource}}`

/** A manager whose waiters are told by messages: it shares no connection with the server's URL. */
const another = ({ path }, options) => distLock(`unix://${path}`, options)

/** Waits until so many wait for a resource. */
function queued(server, count, resource = 'a') {
  const isThere = async () => {
    return (await server.command('ZCOUNT', queueOf(resource), 0, '+inf')) === count
  }
  return eventually(isThere, `${count} wait for ${resource}`)
}

/** Waits for a lock, notes its turn and hands the lock on. */
async function takeTurn(order, name, waiting) {
  const lock = await waiting
  order.push(name)
  assert.equal(await lock.release(), true)
}

/** How long it takes, in milliseconds. */
async function time(promise) {
  const started = performance.now()
  await promise
  return performance.now() - started
}

module.exports = { another, numbers, queueOf, queued, takeTurn, time }
