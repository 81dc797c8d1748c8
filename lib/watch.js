'use strict'

const engine = require('./engine.js')
const { closed } = require('./errors.js')
const { closeLockers } = require('./lockers.js')

/**
 * The program closes its client: then its connection of ours closes too, and its calls end. Not
 * every client says so in every case, so while there are calls this also looks now and then. It
 * keeps no process alive, and where no client can be closed it looks after direct links only.
 */

/** Milliseconds between two looks. */
const INTERVAL = 25
/** Looks for which a command that was on its way when its client closed may still be answered. */
const GRACE = 40

let timer
/** Sources whose clients may be closed, and whose calls may wait; and the one that a call came from last. */
const watched = new Set()
let last

/**
 * Makes sure that somebody looks after a call.
 *
 * @param {import('./calls.js').Call} call
 */
function watch(call) {
  const { source } = call.manager
  if (source !== last && source.canClose) {
    last = source
    watched.add(source)
  }
  timer ??= setInterval(look, INTERVAL).unref()
}

function look() {
  const isUnderWay = engine.links.look()
  if (engine.underWay() === 0) {
    watched.clear()
    last = undefined
  }
  for (const source of watched) {
    if (source.closed()) endCallsOf(source)
  }
  if (isUnderWay || watched.size > 0) return
  clearInterval(timer)
  timer = undefined
}

function endCallsOf(source) {
  for (const [number, call] of engine.calls.entries()) {
    if (call?.manager.source === source && !call.isCancelled) end(number, call)
  }
}

/** A waiter ends at once; the last release of a program that quits is let through. */
function end(number, call) {
  call.looks += 1
  if (call.waits || call.looks > GRACE) engine.cancel(number, closed(call.resource))
}

/** Lets go of the connection of a source when its client is closed. */
function closeWith(source) {
  if (closing.has(source)) return
  closing.add(source)
  source.onEnd(() => {
    if (source.closed()) closeLockers(source.settings())
  })
}

const closing = new WeakSet()

module.exports = { closeWith, watch }
