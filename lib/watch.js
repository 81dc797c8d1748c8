'use strict'

const engine = require('./engine.js')
const { closed } = require('./errors.js')

/**
 * Ends the calls of clients that the program closes. No client of any version says so in all
 * cases, so this looks now and then, while there are calls, and keeps no process alive.
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
  let waiting = false
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

module.exports = { watch }
