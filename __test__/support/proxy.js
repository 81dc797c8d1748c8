'use strict'

const { EventEmitter, once } = require('node:events')
const net = require('node:net')
const { setTimeout: sleep } = require('node:timers/promises')

/**
 * A network that fails on request: a proxy in front of a redis-server.
 *
 *     const proxy = await startProxy(t, redis)
 *     const locks = distLock(proxy.url)
 *     …
 *     proxy.mode = 'swallow replies'
 *
 * `mode` holds for what arrives from now on, on open connections and on new ones:
 *
 * - `pass`: everything gets through
 * - `swallow replies`: the server gets and runs every command, its replies are lost
 * - `blackhole`: connections are accepted, and nothing gets through in either direction
 * - `hang up`: every connection is closed as soon as it is made; open ones at the next bytes
 *
 * What happens at once is a method: `hangUp()`, `halfOpen()`, `refuse()`. It emits
 * `connection` for each new one, `request` and `reply` for bytes that arrived from the client
 * and the server, whatever then becomes of them.
 *
 * @param {{ after(fn: () => unknown): void }} t whose end ends the proxy
 * @param {{ port: number }} server what it stands in front of, on 127.0.0.1
 * @returns {Promise<Proxy>}
 */
async function startProxy(t, server) {
  const proxy = new Proxy(server.port)
  t.after(() => proxy.close())
  await proxy.accept()
  return proxy
}

class Proxy extends EventEmitter {
  host = '127.0.0.1'
  port = 0
  mode = 'pass'
  /**
   * Milliseconds that bytes take to the server and to the client; or a promise, which holds up those
   * that arrive from now on until it resolves.
   */
  delay = { request: 0, reply: 0 }
  /** How often somebody connected since the proxy was started. */
  connections = 0
  #target
  #listener
  #pairs = new Set()

  constructor(target) {
    super()
    this.#target = target
  }

  /** Whether it takes new connections. */
  get isListening() {
    return this.#listener.listening
  }

  get url() {
    return `redis://${this.host}:${this.port}`
  }

  /** Listens, again on the same port after `refuse()`. */
  async accept() {
    this.#listener = net.createServer((socket) => this.#connect(socket))
    this.#listener.listen(this.port, this.host)
    await once(this.#listener, 'listening')
    this.port = this.#listener.address().port
  }

  /** Nobody listens any more: new connections get ECONNREFUSED, open ones stay. */
  refuse() {
    this.#listener.close()
  }

  /** Closes the open connections on both sides. */
  hangUp() {
    // Not resetAndDestroy(): in Node 20 a socket whose peer closes meanwhile is never closed.
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
  }

  /** Closes the open connections on the server's side only: the client writes into the void. */
  halfOpen() {
    for (const pair of this.#pairs) {
      pair.isHalfOpen = true
      pair.server.destroy()
    }
  }

  close() {
    this.refuse()
    this.hangUp()
  }

  #connect(client) {
    this.connections++
    if (this.mode === 'hang up') client.destroy()
    else this.#join(client, net.connect(this.#target, '127.0.0.1'))
    this.emit('connection')
  }

  #join(client, server) {
    const pair = { client, server, isHalfOpen: false }
    this.#pairs.add(pair)
    client.once('close', () => this.#pairs.delete(pair))
    this.#carry(pair, client, server, 'request')
    this.#carry(pair, server, client, 'reply')
  }

  #carry(pair, from, to, kind) {
    let delivered = Promise.resolve()
    from.setNoDelay(true)
    from.on('error', () => {})
    from.on('data', (chunk) => {
      if (this.mode === 'hang up') this.hangUp()
      else if (!this.#loses(pair, kind)) {
        delivered = this.#deliver(delivered, to, chunk, this.delay[kind])
      }
      this.emit(kind, chunk)
    })
    from.on('close', async () => {
      await delivered
      if (!pair.isHalfOpen || from === pair.client) to.destroy()
    })
  }

  #loses({ isHalfOpen }, kind) {
    if (isHalfOpen || this.mode === 'blackhole') return true
    return this.mode === 'swallow replies' && kind === 'reply'
  }

  /** In the order of arrival, also where the delay has become shorter. */
  async #deliver(before, to, chunk, delay) {
    const waited = typeof delay === 'number' ? delay > 0 && sleep(delay) : delay
    await before
    await waited
    if (to.writable) to.write(chunk)
  }
}

module.exports = { startProxy }
