'use strict'

const channels = require('./diagnostics/channels.js')

/**
 * Tells the program what it should know besides the answers to its calls; `src/notice.rs` sees to it
 * that each is told once in a process.
 *
 * @param {string} code   its stable name
 * @param {string} message
 * @param {string} advice   what it means for locks, and what can be done
 */
function tell(code, message, advice) {
  process.emitWarning(message, { type: 'DistLockWarning', code, detail: advice })
}

/** A server is reached, or is not any more. */
function connection(server, isConnected, reason) {
  if (!channels.connection.hasSubscribers) return
  const state = isConnected ? 'connected' : 'disconnected'
  channels.connection.publish({ server, state, reason })
}

module.exports = { connection, tell }
