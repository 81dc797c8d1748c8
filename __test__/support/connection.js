'use strict'

const net = require('node:net')

/**
 * A raw connection to Redis that shares no code with any client under test: what it reads is what
 * is in Redis. RESP2; replies are strings, numbers, null, arrays and Errors (which reject).
 *
 * @param {{ port?: number, host?: string, path?: string }} address
 * @returns {Promise<Connection>}
 */
function openConnection(address) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(address)
    socket.setNoDelay(true)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new Connection(socket))
    })
  })
}

class Connection {
  #socket
  #pending = []
  #buffer = Buffer.alloc(0)
  /** Called with every reply that no command waits for: the lines of MONITOR. */
  onPush = () => {}

  constructor(socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', () => {})
    socket.on('close', () => this.#fail(new Error('the connection to Redis was closed')))
  }

  /**
   * Sends one command; arguments may be strings, numbers or Buffers.
   *
   * @returns {Promise<any>} the reply; an error reply rejects with its text
   */
  command(...args) {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection to Redis was closed'))
      this.#pending.push({ resolve, reject })
      const parts = [Buffer.from(`*${args.length}\r\n`)]
      for (const arg of args) {
        const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg))
        parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
      }
      this.#socket.write(Buffer.concat(parts))
    })
  }

  /** Whether it was closed, by whichever side. */
  get isClosed() {
    return this.#socket.destroyed
  }

  close() {
    this.#socket.destroy()
  }

  #receive(chunk) {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    let offset = 0
    for (let reply; (reply = parse(this.#buffer, offset)); offset = reply.end) {
      const waiter = this.#pending.shift()
      if (!waiter) this.onPush(reply.value)
      else if (reply.value instanceof Error) waiter.reject(reply.value)
      else waiter.resolve(reply.value)
    }
    this.#buffer = this.#buffer.subarray(offset)
  }

  #fail(error) {
    for (const waiter of this.#pending.splice(0)) waiter.reject(error)
  }
}

/**
 * One reply of `buffer` at `offset`, or a command, which looks the same; undefined while it is not
 * complete.
 */
function parse(buffer, offset) {
  const lineEnd = buffer.indexOf('\r\n', offset)
  if (lineEnd === -1) return undefined
  const line = buffer.toString('utf8', offset + 1, lineEnd)
  const end = lineEnd + 2

  switch (buffer[offset]) {
    case 0x2b: // +
      return { value: line, end }
    case 0x2d: // -
      return { value: new Error(line), end }
    case 0x3a: // :
      return { value: Number(line), end }
    case 0x24: {
      // $
      const length = Number(line)
      if (length === -1) return { value: null, end }
      if (buffer.length < end + length + 2) return undefined
      return { value: buffer.toString('utf8', end, end + length), end: end + length + 2 }
    }
    case 0x2a: {
      // *
      if (line === '-1') return { value: null, end }
      const value = []
      let position = end
      for (let count = Number(line); count > 0; count--) {
        const item = parse(buffer, position)
        if (!item) return undefined
        value.push(item.value)
        position = item.end
      }
      return { value, end: position }
    }
    default:
      throw new Error(`not a RESP2 reply: ${buffer.toString('latin1', offset, lineEnd)}`)
  }
}

module.exports = { openConnection, parse }
