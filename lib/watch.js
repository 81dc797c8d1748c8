'use strict'

const engine = require('./engine.js')
const { closed } = require('./errors.js')
const { closeLockers } = require('./lockers.js')

/**
 * The program closes its client: then its connection of ours closes too, and its calls end. Not
 * every client says so in every case, so while there are calls this also looks now and then. It
 * keeps no process alive.
 */

/** Milliseconds between two looks. */
const INTERVAL = 25
/** Looks for which a command that was on its way when its client closed may still be answered. */
const GRACE = 40

let timer

/** Makes sure that somebody looks after the calls that wait. */
function watch() {
  timer ??= setInterval(look, INTERVAL).unref()
}

function look() {
  let waiting = engine.links.look()
  const isClosed = new Map()
  for (const [number, call] of engine.calls.entries()) {
    if (call === undefined) continue
    waiting = true
    const { source } = call.manager
    if (!isClosed.has(source)) isClosed.set(source, source.closed())
    if (isClosed.get(source) && !call.isCancelled) end(number, call)
  }
  if (waiting) return
  clearInterval(timer)
  timer = undefined
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
