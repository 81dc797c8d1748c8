'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const readline = require('node:readline')
const { clientKinds } = require('./clients.js')
const { distLocks } = require('./versions.js')

/** A program that has not ended by then never will. */
const LONGEST = 60000

/**
 * Runs a function as the main program of a process of its own, where its uncaught exceptions, its
 * staying alive and its end can be seen.
 *
 *     const { said, code } = await runProgram(t, { version, kind, port }, ({ locks, say }) => {
 *       locks.acquire('a', (error, lock) => say(lock.owner))
 *     })
 *
 * The function is sent as text: it sees what it is given and nothing around it.
 *
 * @param {{ after(fn: () => unknown): void }} t whose end ends the process
 * @param {object} options for `Here`
 * @param {'version 2' | 'version 3'} options.version
 * @param {string} options.kind of the client
 * @param {number} options.port of Redis; what else there is is passed on as it is
 * @param {(here: Here) => unknown} main
 * @returns {Promise<Outcome>}
 *
 * @typedef {object} Here what a program is given
 * @property {any} client
 * @property {any} distLock
 * @property {any} locks a manager on `client` with the default options
 * @property {() => any} open another client
 * @property {() => void} close closes the client by the method `options.closer`
 * @property {(...words: any[]) => void} say
 *
 * @typedef {object} Outcome
 * @property {any[][]} said the words of each `say()`
 * @property {number | null} code
 * @property {string | null} signal that ended it: SIGKILL when it did not end by itself
 * @property {string} errors what it wrote to stderr
 */
function runProgram(t, options, main) {
  return startProgram(t, options, main).ended
}

/**
 * As `runProgram`, for a program that goes on meanwhile.
 *
 * @returns {{ heard(word: any): Promise<void>, ended: Promise<Outcome>, kill(): void }} `heard` waits
 *   until it says something that begins with `word`
 */
function startProgram(t, options, main) {
  const start = `(${main})(require(${JSON.stringify(__filename)}).here(${JSON.stringify(options)}))`
  const child = spawn(process.execPath, ['--eval', start], { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => child.kill('SIGKILL')
  const limit = setTimeout(kill, LONGEST)
  t.after(kill)

  const said = []
  const listeners = new Set()
  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(JSON.parse(line))
    for (const listener of listeners) listener()
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors += chunk))

  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(limit)
    return { said, code, signal, errors }
  })

  const heard = (word) =>
    new Promise((resolve, reject) => {
      const listen = () => said.some(([first]) => first === word) && resolve()
      listeners.add(listen)
      listen()
      ended.then(() => reject(new Error(`it never said ${word}:\n${errors}`)))
    })

  return { heard, ended, kill }
}

/** What a program is given, made in its own process. */
function here({ version, kind, port, closer, ...rest }) {
  const ofKind = clientKinds.find(({ name }) => name === kind)
  const open = () => ofKind.open({ after() {} }, { host: '127.0.0.1', port, disconnectTimeout: 20 })
  const distLock = distLocks[version]
  const client = open()
  const say = (...words) => void process.stdout.write(`${JSON.stringify(words)}\n`)
  const close = () => ofKind.closers[closer](client)
  return { ...rest, client, close, distLock, open, say, locks: distLock(client) }
}

module.exports = { runProgram, startProgram, here }
