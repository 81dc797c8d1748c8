'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { Worker, parentPort, workerData } = require('node:worker_threads')

/** A child that has not ended by then never will. */
const LONGEST = 60000

/**
 * Runs a function as the main program of a process of its own, where a crash, its staying alive
 * and its threads can be seen.
 *
 *     const { code } = await runChild(t, { url }, async ({ distLock, say, url }) => {
 *       say('locked', (await distLock(url).acquire('a')).id)
 *     })
 *
 * The function is sent as text: it sees what it is given and nothing around it.
 *
 * @param {{ after(fn: () => unknown): void }} t whose end ends the process
 * @param {Record<string, unknown>} data for the function, as JSON
 * @param {(here: any) => unknown} main gets `data`, `distLock`, `say(...words)`, `until(check)`,
 *   `told(word)`, which waits for what `tell` says, and `thread(data, main)`, which starts a worker
 *   with the like
 * @param {string[]} [flags] of Node
 * @returns {Promise<{ code: number | null, signal: string | null, said: any[][], errors: string }> &
 *   { heard(word: any): Promise<any[]>, tell(word: string): void, kill(signal: string): Promise<void> }}
 *   `heard` waits for the words that begin with `word`; `kill` until the signal has arrived
 */
function runChild(t, data, main, flags = []) {
  const child = spawn(process.execPath, [...flags, '--eval', program(main, 'mainProgram', data)], {
    cwd: path.join(__dirname, '../..'),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const end = () => child.kill('SIGKILL')
  const limit = setTimeout(end, LONGEST)
  t.after(end)
  // It may have ended.
  child.stdin.on('error', () => {})

  const words = listen((hear) => {
    readline.createInterface({ input: child.stdout }).on('line', (line) => hear(JSON.parse(line)))
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors += chunk))

  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(limit)
    words.end(() => new Error(`it ended with ${signal ?? code}\n${errors}`))
    return { code, signal, said: words.said, errors }
  })
  const tell = (word) => child.stdin.write(`${JSON.stringify([word])}\n`)
  const kill = async (signal) => {
    child.kill(signal)
    if (signal === 'SIGKILL') await ended
    if (signal === 'SIGSTOP') await stopped(child.pid)
  }
  return Object.assign(ended, { heard: words.heard, tell, kill })
}

/** Waits until a signal that stops a process was delivered. */
async function stopped(pid) {
  if (!fs.existsSync('/proc/self/stat')) return // Nothing to look at on this system.
  while (!/ T /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))) {
    await new Promise(setImmediate)
  }
}

function program(main, kind, data = {}) {
  const here = `require(${JSON.stringify(__filename)}).${kind}(${JSON.stringify(data)})`
  return `(${main})(${here})`
}

/** What was said, and those who wait for it. */
function listen(start) {
  const said = []
  const waiting = new Set()
  let ending
  const look = () => {
    for (const waiter of waiting) {
      const found = said.find(([first]) => first === waiter.word)
      if (found) waiter.resolve(found)
      else if (ending) waiter.reject(ending())
    }
  }
  start((words) => {
    said.push(words)
    look()
  })
  return {
    said,
    heard: (word) =>
      new Promise((resolve, reject) => {
        waiting.add({ word, resolve, reject })
        look()
      }),
    end: (reason) => {
      ending = reason
      look()
    },
  }
}

/** What a main program is given. */
function mainProgram(data) {
  const say = (...words) => process.stdout.write(`${JSON.stringify(words)}\n`)
  return { ...here(data, say), told }
}

let input
let awaited = 0

/** Who waits for a word stays alive. */
async function told(word) {
  input ??= listen(readWords)
  if (awaited++ === 0) process.stdin.ref()
  try {
    return await input.heard(word)
  } finally {
    if (--awaited === 0) process.stdin.unref()
  }
}

function readWords(hear) {
  readline.createInterface({ input: process.stdin }).on('line', (line) => hear(JSON.parse(line)))
}

/** What the program of a thread is given. */
function threadProgram() {
  return here(workerData, (...words) => parentPort.postMessage(words))
}

function here(data, say) {
  return { ...data, distLock: require('../../index.js'), say, until, thread }
}

/**
 * Starts a worker. `heard(word)` waits for what it says.
 *
 * @returns {Worker & { heard(word: any): Promise<any[]>, ended: Promise<number> }}
 */
function thread(data, main) {
  const worker = new Worker(program(main, 'threadProgram'), { eval: true, workerData: data })
  const words = listen((hear) => worker.on('message', hear))
  const ended = new Promise((resolve) => worker.once('exit', resolve)).then((code) => {
    words.end(() => new Error(`the worker ended with ${code}`))
    return code
  })
  return Object.assign(worker, { heard: words.heard, ended })
}

/** Waits until `check` returns something true. */
async function until(check, what = String(check)) {
  const end = Date.now() + 20000
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`it never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

module.exports = { runChild, mainProgram, threadProgram }
