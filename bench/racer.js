'use strict'

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const CHILD = path.join(__dirname, 'child.js')

/** A contender's process, seen from here. */
class Racer {
  #child
  /** The file in `contenders/`. */
  file
  /** What the tables call it, once it is open. */
  name

  constructor(file, url) {
    this.file = file
    this.#child = fork(CHILD, [file, url])
  }

  async open() {
    this.name = (await this.#ask('open')).name
  }

  /** @returns {Promise<import('./measure.js').Slice>} */
  measure(workload) {
    return this.#ask('measure', workload)
  }

  /** Makes `workload.locks` locks. */
  async run(workload) {
    await this.#ask('run', workload)
  }

  async close() {
    await this.#ask('close')
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }

  /** Ends it, whatever it is doing. */
  kill() {
    this.#child.kill('SIGKILL')
  }

  async #ask(task, workload) {
    this.#child.send({ task, workload })
    const controller = new AbortController()
    const { signal } = controller
    try {
      return await Promise.race([
        once(this.#child, 'message', { signal }).then(([message]) => message.result),
        once(this.#child, 'exit', { signal }).then(([code]) => {
          throw new Error(`${this.file} ended with exit code ${code} instead of an answer`)
        }),
      ])
    } finally {
      controller.abort()
    }
  }
}

module.exports = { Racer }
