'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { certificates } = require('./certificates.js')
const { openConnection } = require('./connection.js')

/**
 * Starts a private redis-server on a free port and stops it when the test ends, passed or failed.
 *
 *     test('a lock is a hash', async (t) => {
 *       const redis = await startRedis(t)
 *       …
 *       assert.equal(await redis.command('TYPE', 'lock:a'), 'hash')
 *     })
 *
 * A server shared by the tests of a file is started outside of them, and not in a hook: an `after`
 * that is registered in `before` runs as soon as that `before` is over.
 *
 *     const starting = startRedis({ after })
 *     before(async () => (redis = await starting))
 *
 * Without a test (a bench): `startRedis()`, then `redis.close()`.
 *
 * @param {{ after(fn: () => unknown): void }} [t] whose end ends the server
 * @param {object} [options]
 * @param {string} [options.password] `requirepass`
 * @param {Record<string, string>} [options.users] ACL rules by user name: `{ ada: 'on >pw ~* &* +@all' }`
 * @param {boolean | { certificate?: import('./certificates.js').Certificate, authClients?: 'yes'|'no'|'optional' }} [options.tls]
 *   also listen with TLS on `tlsPort`, showing `certificates().server`; clients need no certificate unless `authClients` is 'yes'
 * @param {{ port: number }} [options.replicaOf] another server of this kind
 * @param {boolean} [options.cluster] a node for a Cluster, see `cluster.js`
 * @param {string[]} [options.args] more arguments: `['--maxmemory', '2mb']`
 * @param {string} [options.config] what its configuration file says, where arguments do not suffice
 * @returns {Promise<RedisServer>} it listens on 127.0.0.1 and ::1 at `port`, and on the unix socket `path`
 */
async function startRedis(t, options = {}) {
  const server = new RedisServer(options)
  t?.after(() => server.close())
  // Between our finding a free port and the server's taking it somebody else may have it.
  for (let attempt = 1; ; attempt++) {
    server.port = await freePort()
    if (options.tls) server.tlsPort = await freePort()
    if (options.cluster) server.busPort = await freePort()
    try {
      await server.start()
      return server
    } catch (error) {
      if (attempt === 10 || !/address already in use/i.test(error.message)) {
        await server.close()
        throw error
      }
    }
  }
}

/**
 * A port of 127.0.0.1 on which nobody listens just now. Not one of those that the system gives to
 * outgoing connections: one of them could have it while a server is started again.
 */
async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 20000)
    const server = net.createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

/** Whether this machine has an IPv6 loopback address. */
function hasIPv6() {
  return Object.values(os.networkInterfaces()).some((addresses) =>
    addresses.some(({ address }) => address === '::1'),
  )
}

class RedisServer {
  host = '127.0.0.1'
  port
  tlsPort
  busPort
  #options
  #dir = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-redis-'))
  #process
  #connection
  #monitors = new Set()

  constructor(options) {
    this.#options = options
    running.add(this)
  }

  /** The unix socket. */
  get path() {
    return path.join(this.#dir, 'redis.sock')
  }

  get pid() {
    return this.#process?.pid
  }

  /** What clients that take a URL are given: `redis://127.0.0.1:port`. */
  get url() {
    return `redis://${this.host}:${this.port}`
  }

  /** Starts it again on the same ports, empty; resolves once it answers. */
  async start() {
    const child = spawn(process.env.REDIS_SERVER || 'redis-server', this.#args(), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = child
    if (child.pid) outlive(child, this.#dir)

    let log = ''
    await new Promise((resolve, reject) => {
      const read = (chunk) => {
        log += chunk
        if (/ready to accept connections|sentinel id is/i.test(log)) resolve()
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('error', reject)
      child.once('close', () => reject(new Error(`redis-server did not start:\n${log}`)))
    })
    await this.command('PING')
  }

  /** Ends the process at once, like a crash; its data are gone. */
  async stop() {
    for (const connection of this.#monitors) connection.close()
    this.#monitors.clear()
    this.#connection?.then((connection) => connection.close()).catch(() => {})
    this.#connection = undefined

    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** A crash and a new, empty server on the same ports. */
  async restart() {
    await this.stop()
    await this.start()
  }

  /** Freezes the process: it keeps its connections and answers nothing until `resume()`. */
  async pause() {
    process.kill(this.pid, 'SIGSTOP')
    // The signal is delivered a moment after kill() returned.
    while (!isStopped(this.pid)) await new Promise(setImmediate)
  }

  resume() {
    process.kill(this.pid, 'SIGCONT')
  }

  /**
   * Runs a command as an administrator over the unix socket, in database 0.
   *
   * @returns {Promise<any>} the reply; an error reply rejects with its text
   */
  async command(...args) {
    this.#connection ??= this.connect()
    let connection = await this.#connection
    // A primary that becomes a replica closes it.
    if (connection.isClosed) connection = await (this.#connection = this.connect())
    return connection.command(...args)
  }

  /** The keys that are not side keys (`dist-lock:…`); each of those must expire. */
  async lockKeys() {
    const keys = await this.command('KEYS', '*')
    for (const key of keys.filter(isSideKey)) {
      const pttl = await this.command('PTTL', key)
      // Gone meanwhile is fine, too.
      if (pttl === -1) throw new Error(`${key} does not expire`)
    }
    return keys.filter((key) => !isSideKey(key)).sort()
  }

  /** Waits until the time that is left of a key becomes longer, as by a renewal; fails when it is gone. */
  async renewed(key) {
    for (let before = Infinity; ;) {
      const left = await this.command('PTTL', key)
      if (left < 0) throw new Error(`${key} is gone, or does not expire`)
      if (left > before) return
      before = left
      await sleep(5)
    }
  }

  /** A connection of your own (for SELECT, SUBSCRIBE …); close it yourself, or it ends with the server. */
  async connect() {
    const connection = await openConnection({ path: this.path })
    if (this.#options.users) await connection.command('AUTH', ADMINISTRATOR, ADMINISTRATOR)
    else if (this.#options.password) await connection.command('AUTH', this.#options.password)
    return connection
  }

  /**
   * Records every command the server runs from now on, in the words of MONITOR.
   *
   * @returns {Promise<{ lines(): Promise<string[]>, stop(): void }>} `lines()` resolves with all
   *   lines of commands that were run before it was called
   */
  async monitor() {
    const connection = await this.connect()
    this.#monitors.add(connection)
    const lines = []
    const marks = new Map()
    await connection.command('MONITOR')
    connection.onPush = (line) => {
      const mark = /"ECHO" "(dist-lock-mark-\d+)"/.exec(line)
      if (mark) marks.get(mark[1])?.()
      else lines.push(line)
    }

    return {
      lines: async () => {
        // What MONITOR has not told yet comes before the line of this command.
        const mark = `dist-lock-mark-${++markCount}`
        const seen = new Promise((resolve) => marks.set(mark, resolve))
        await this.command('ECHO', mark)
        await seen
        return [...lines]
      },
      stop: () => {
        this.#monitors.delete(connection)
        connection.close()
      },
    }
  }

  /** Stops it and removes its directory; `t.after` does this. */
  async close() {
    await this.stop()
    this.kill()
  }

  /** What can be done while the process exits: no waiting. */
  kill() {
    running.delete(this)
    this.#process?.kill('SIGKILL')
    fs.rmSync(this.#dir, { recursive: true, force: true })
  }

  #args() {
    const { password, users, tls, replicaOf, cluster, config, args = [] } = this.#options
    const file = path.join(this.#dir, 'redis.conf')
    if (config) fs.writeFileSync(file, config)
    const all = [
      ...(config ? [file] : []),
      ...['--port', this.port, '--bind', '127.0.0.1', '-::1', '--unixsocket', this.path],
      ...['--save', '', '--appendonly', 'no', '--dir', this.#dir, '--daemonize', 'no'],
    ]
    if (password !== undefined) all.push('--requirepass', password)
    if (users) {
      const everybody = { ...users, [ADMINISTRATOR]: `on >${ADMINISTRATOR} ~* &* +@all` }
      for (const [name, rules] of Object.entries(everybody))
        all.push('--user', name, ...rules.split(' '))
    }
    if (cluster) all.push('--cluster-enabled', 'yes', '--cluster-port', this.busPort)
    if (replicaOf) all.push('--replicaof', '127.0.0.1', replicaOf.port)
    if (tls) {
      const { ca, server } = certificates()
      const { certificate = server, authClients = 'no' } = tls === true ? {} : tls
      all.push('--tls-port', this.tlsPort, '--tls-ca-cert-file', ca.certFile)
      all.push('--tls-cert-file', certificate.certFile, '--tls-key-file', certificate.keyFile)
      all.push('--tls-auth-clients', authClients)
    }
    return [...all, ...args].map(String)
  }
}

/** With `users` the default user may be locked, so `command()` has a user of its own. */
const ADMINISTRATOR = 'administrator'
const running = new Set()
const isSideKey = (key) => key.startsWith('dist-lock:')
let markCount = 0

function isStopped(pid) {
  try {
    return / T /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return true // No /proc on this system: nothing to look at.
  }
}

/**
 * Ends a server whose test process was killed outright: a shell that hears of it by the end of its
 * input, unless the server has ended before.
 */
function outlive(child, dir) {
  const script = 'read -r ended || { kill -9 "$1"; rm -rf "$2"; }'
  const shell = spawn('sh', ['-c', script, 'sh', child.pid, dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C is for the others.
  })
  shell.unref()
  shell.stdin.unref()
  shell.stdin.on('error', () => {})
  child.once('exit', () => shell.stdin.end('ended\n'))
}

function killAll() {
  for (const server of running) server.kill()
}

process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    killAll()
    process.kill(process.pid, signal)
  })
}

module.exports = { startRedis, freePort, hasIPv6, certificates }
