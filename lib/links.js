'use strict'

const net = require('node:net')

/** Whether this platform lets us read from a connection that Rust opened. */
const canReadDirectly =
  process.platform !== 'win32' && !process.versions.bun && !process.versions.deno

/** What `look` of the native engine says. */
const [QUIET, OVERDUE] = [0, 2]

/** What arrives is gone through before more is read, so all links share it. */
const bytes = new Uint8Array(64 * 1024)

/**
 * The connections of this thread's own, which Rust opens and writes to and which are read here, so
 * that a call need not go to another thread and back. `src/backend/redis/direct.rs` has the rest.
 */
class Links {
  #native
  #receive
  /** @type {Map<number, net.Socket>} */
  #sockets = new Map()

  /** @param {(link: number, bytes: Uint8Array, count: number) => void} receive */
  constructor(native, receive) {
    this.#native = native
    this.#receive = receive
  }

  /** Begins to read from a link that was opened. */
  attach(link) {
    const fd = this.#native.attach(link)
    if (fd < 0) return

    let failure
    const socket = new net.Socket({
      fd,
      onread: {
        buffer: bytes,
        callback: (count) => {
          if (this.#sockets.get(link) === socket) this.#receive(link, bytes, count)
          return true
        },
      },
    })
    // What keeps the process alive is a call that waits.
    socket.unref()
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => {
      if (this.#sockets.get(link) !== socket) return
      this.#sockets.delete(link)
      this.#native.hangUp(link, failure?.message)
    })
    this.#sockets.set(link, socket)
  }

  /** Looks for replies that are overdue, and says whether any are waited for. */
  look() {
    if (this.#sockets.size === 0) return false
    const state = this.#native.look()
    // After a blocked event loop they may have arrived and not been read yet.
    if (state === OVERDUE) setImmediate(() => this.#native.check())
    return state !== QUIET
  }
}

module.exports = { Links, canReadDirectly }
