'use strict'

const { once } = require('node:events')
const net = require('node:net')
const { pipeline } = require('node:stream')

/**
 * Stands between this package and its server, and keeps the scripts that are run.
 *
 * @param {{ hostname: string, port: string }} server
 * @returns {Promise<{ url: string, taken(): string[][], close(): void }>} `taken` are the commands
 *   since it was called last
 */
async function startRecorder({ hostname, port }) {
  let commands = []
  const sockets = new Set()
  const proxy = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname)
    let unread = ''
    client.on('data', (bytes) => {
      const { whole, rest } = parse(unread + bytes.toString('latin1'))
      unread = rest
      commands.push(...whole.filter(([name]) => name.toUpperCase() === 'EVALSHA'))
    })
    for (const socket of [client, upstream]) sockets.add(socket.setNoDelay(true))
    pipeline(client, upstream, client, () => {})
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')

  return {
    url: `redis://127.0.0.1:${proxy.address().port}`,
    taken() {
      const all = commands
      commands = []
      return all
    },
    close() {
      proxy.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** The commands that are complete in what a client has sent, and what is left of it. */
function parse(text) {
  const whole = []
  for (let rest = text; ;) {
    const read = readCommand(rest)
    if (read === undefined) return { whole, rest }
    whole.push(read.command)
    rest = rest.slice(read.end)
  }
}

function readCommand(text) {
  let end = 0
  const readNumber = () => {
    const stop = text.indexOf('\r\n', end)
    if (stop < 0) return undefined
    const number = Number(text.slice(end + 1, stop))
    end = stop + 2
    return number
  }
  const count = readNumber()
  if (count === undefined) return undefined

  const command = []
  while (command.length < count) {
    const length = readNumber()
    if (length === undefined || end + length + 2 > text.length) return undefined
    command.push(text.slice(end, end + length))
    end += length + 2
  }
  return { command, end }
}

module.exports = { startRecorder }
