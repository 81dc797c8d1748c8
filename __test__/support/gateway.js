'use strict'

const { once } = require('node:events')
const net = require('node:net')
const { parse } = require('./connection.js')

/**
 * A gateway before a redis-server that lets some commands through and others not, as those of
 * managed services do.
 *
 *     const gateway = await startGateway(t, redis, ([command]) =>
 *       command === 'SUBSCRIBE' ? `ERR unknown command '${command}'` : undefined)
 *
 * @param {{ after(fn: () => unknown): void }} t whose end ends the gateway
 * @param {{ port: number }} server on 127.0.0.1
 * @param {(command: string[]) => string | undefined} refuse the error that answers a command, whose
 *   name comes in capitals; 'hang up' closes the connection; undefined lets it through
 * @returns {Promise<{ url: string, port: number, seen: string[] }>} `seen`: the names of all commands
 */
async function startGateway(t, server, refuse) {
  const gateway = { seen: [] }
  const sockets = new Set()
  const listener = net.createServer((client) => {
    const target = net.connect(server.port, '127.0.0.1')
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    serve(client, target, (command) => {
      gateway.seen.push(command[0])
      return refuse(command)
    })
  })
  listener.listen(0, '127.0.0.1')
  t.after(() => {
    listener.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(listener, 'listening')
  gateway.port = listener.address().port
  gateway.url = `redis://127.0.0.1:${gateway.port}`
  return gateway
}

/** Lets one command through at a time, so that replies keep the order of the commands. */
function serve(client, target, refuse) {
  let commands = Buffer.alloc(0)
  let replies = Buffer.alloc(0)
  let isWaiting = false

  const next = () => {
    for (let command; !isWaiting && (command = parse(commands, 0));) {
      const bytes = commands.subarray(0, command.end)
      commands = commands.subarray(command.end)
      const [name, ...args] = command.value
      const refusal = refuse([name.toUpperCase(), ...args])
      if (refusal === 'hang up') return client.destroy()
      if (refusal) client.write(`-${refusal}\r\n`)
      else {
        isWaiting = true
        target.write(bytes)
      }
    }
  }
  client.on('data', (chunk) => {
    commands = Buffer.concat([commands, chunk])
    next()
  })
  target.on('data', (chunk) => {
    replies = Buffer.concat([replies, chunk])
    // What comes without a question is a message.
    for (let reply; (reply = parse(replies, 0)); isWaiting = false) {
      client.write(replies.subarray(0, reply.end))
      replies = replies.subarray(reply.end)
    }
    next()
  })
}

module.exports = { startGateway }
