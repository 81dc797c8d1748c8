'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const readline = require('node:readline')
const { setTimeout: sleep } = require('node:timers/promises')
const { now } = require('./clock.js')

/** The processes that contend. */
class Contenders {
  /** Processes that ended although nobody ended them. */
  crashes = []
  #history
  #chance
  #data
  #running = new Map()
  #next = 0

  /**
   * @param {import('./history.js').History} history   where what they say goes
   * @param {import('./chance.js').Chance} chance
   * @param {object} data   for `contender.js`
   */
  constructor(history, chance, data) {
    this.#history = history
    this.#chance = chance
    this.#data = data
  }

  start() {
    const number = this.#next++
    const data = { ...this.#data, seed: Math.floor(this.#chance.between(0, 2 ** 32)) }
    const program = path.join(__dirname, 'contender.js')
    const child = spawn(process.execPath, [program, JSON.stringify(data)])
    const contender = { number, child, isDone: false, isKilled: false, errors: '' }
    const lines = readline.createInterface({ input: child.stdout })
    lines.on('line', (line) => {
      const event = JSON.parse(line)
      if (event.is === 'done') contender.isDone = true
      this.#history.add(number, event)
    })
    child.stdin.on('error', () => {})
    child.stderr.setEncoding('utf8').on('data', (text) => (contender.errors += text))
    contender.ended = Promise.all([once(child, 'close'), once(lines, 'close')]).then(
      ([[code, signal]]) => {
        this.#running.delete(number)
        if (contender.isKilled) return this.#history.killed(number)
        if (contender.isStuck) return
        if (!contender.isDone || code !== 0) {
          this.crashes.push(contender.errors || signal || `code ${code}`)
        }
      },
    )
    this.#running.set(number, contender)
  }

  /** Fails when all of them have crashed. */
  assertAlive() {
    if (this.#running.size > 0) return
    throw new Error(`all processes have ended:\n${this.crashes.join('\n')}`)
  }

  async pauseOne(milliseconds) {
    const { number, child } = this.#any()
    const from = now()
    child.kill('SIGSTOP')
    await sleep(milliseconds)
    child.kill('SIGCONT')
    this.#history.paused(number, from, now())
  }

  async replaceOne() {
    const contender = this.#any()
    contender.isKilled = true
    contender.child.kill('SIGKILL')
    await contender.ended
    this.start()
  }

  /** Ends them after what they are at. Says how many had to be killed after `limit` milliseconds. */
  async stop(limit) {
    const all = [...this.#running.values()]
    for (const { child } of all) child.stdin.write('stop\n')
    await Promise.race([
      Promise.all(all.map(({ ended }) => ended)),
      sleep(limit, undefined, { ref: false }),
    ])
    const stuck = [...this.#running.values()]
    for (const contender of stuck) {
      contender.isStuck = true
      contender.child.kill('SIGKILL')
    }
    await Promise.all(stuck.map(({ ended }) => ended))
    return stuck.length
  }

  kill() {
    for (const contender of this.#running.values()) {
      contender.isKilled = true
      contender.child.kill('SIGKILL')
    }
  }

  #any() {
    this.assertAlive()
    return this.#chance.oneOf([...this.#running.values()])
  }
}

module.exports = { Contenders }
