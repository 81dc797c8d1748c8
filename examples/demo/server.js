'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

const PROGRAMS = ['redis-server', 'valkey-server']

/**
 * Starts a server of our own that keeps nothing.
 *
 * @returns {Promise<{ program: string, url: string, stop(): Promise<void> } | undefined>}
 *   undefined: there is no such program here
 */
async function startServer() {
  for (const program of process.env.REDIS_SERVER ? [process.env.REDIS_SERVER] : PROGRAMS) {
    const server = await start(program)
    if (server) return server
  }
}

async function start(program) {
  const port = await freePort()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-demo-'))
  const settings = { '--port': port, '--bind': '127.0.0.1', '--save': '', '--dir': directory }
  const server = spawn(program, Object.entries(settings).flat().map(String), {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Ctrl-C in a terminal is not for the server: it has to outlive those who use it.
    detached: true,
  })

  const remove = () => {
    server.kill('SIGKILL')
    fs.rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', remove)

  if (!(await isReady(server))) {
    remove()
    return undefined
  }
  return {
    program: path.basename(program),
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      const gone = once(server, 'exit')
      remove()
      await gone
    },
  }
}

/** `false`: there is no such program. */
function isReady(server) {
  return new Promise((resolve, reject) => {
    let log = ''
    server.stdout.on('data', (chunk) => {
      log += chunk
      if (/ready to accept connections/i.test(log)) resolve(true)
    })
    server.once('error', (error) => (error.code === 'ENOENT' ? resolve(false) : reject(error)))
    server.once('exit', () => reject(new Error(`the server did not start:\n${log}`)))
  })
}

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

module.exports = { startServer }
