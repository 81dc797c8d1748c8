'use strict'

const { spawn } = require('node:child_process')
const os = require('node:os')
const { LONGEST_TIMER } = require('./duration.js')
const exitCodes = require('./exit-codes.js')

/** With a terminal the command stays in our process group: there Ctrl-C reaches both of us. */
const hasTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)

/**
 * Without one it gets a group of its own, so that a signal reaches all that it started: a shell that
 * ends leaves nothing running behind that still works under the lock.
 */
const hasGroup = !hasTerminal && process.platform !== 'win32'

/** A command with our input and output. */
class Child {
  #process
  #timer

  /** @type {Promise<number>} what it ends with, as a shell says it; rejects if it cannot be run */
  ended

  /**
   * @param {string[]} command
   * @param {Record<string, string | undefined>} env
   */
  constructor([file, ...args], env) {
    this.ended = new Promise((resolve, reject) => {
      // What is thrown here (arguments that are too long) rejects, too.
      this.#process = spawn(file, args, { env, stdio: 'inherit', detached: hasGroup })
      this.#process.once('error', reject)
      this.#process.once('close', (code, signal) => {
        clearTimeout(this.#timer)
        resolve(signal ? exitCodes.SIGNAL + os.constants.signals[signal] : code)
      })
    })
  }

  /** Its number; `undefined` if it could not be started. */
  get pid() {
    return this.#process?.pid
  }

  /** Passes a signal on. Of what a terminal sends, the command hears by itself. */
  forward(signal) {
    if (signal !== 'SIGINT' || !hasTerminal) this.#kill(signal)
  }

  /** Has it end: kindly, and after some milliseconds without asking. */
  stop(killAfter) {
    this.#kill('SIGTERM')
    this.#timer = setTimeout(() => this.#kill('SIGKILL'), Math.min(killAfter, LONGEST_TIMER))
  }

  #kill(signal) {
    const { pid } = this
    if (pid === undefined) return
    try {
      if (hasGroup) process.kill(-pid, signal)
      else this.#process.kill(signal)
    } catch {
      // It has ended.
    }
  }
}

module.exports = { Child }
