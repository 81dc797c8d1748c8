'use strict'

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { sleep } = require('./clock.js')

const CHILD = path.join(__dirname, 'child.js')

/** Who does not answer for this long has failed. */
const PATIENCE = 60_000

/** A contender's process, seen from here. */
class Racer {
  #child
  /** The file in `contenders/`. */
  file
  /** What the tables call it, once it is open. */
  name

  get pid() {
    return this.#child.pid
  }

  constructor(file, url) {
    this.file = file
    // Times are sent as they are in memory: a process tells of thousands of turns at once.
    this.#child = fork(CHILD, [file, url], { serialization: 'advanced' })
  }

  async open() {
    this.name = (await this.ask('open')).name
  }

  async close() {
    await this.ask('close')
    await this.#ended()
  }

  /** Ends it, whatever it is doing. */
  async kill() {
    this.#child.kill('SIGKILL')
    await this.#ended()
  }

  /**
   * Has it do one of the tasks in `child.js`.
   *
   * @returns {Promise<any>} what that answers; rejects when it fails, ends or stays silent instead
   */
  async ask(task, argument) {
    const controller = new AbortController()
    const { signal } = controller
    const patience = setTimeout(() => controller.abort(), PATIENCE)
    const answer = once(this.#child, 'message', { signal })
    const end = once(this.#child, 'exit', { signal })
    answer.catch(() => {})
    end.catch(() => {})
    try {
      if (this.#hasEnded()) throw new Error('its process has ended')
      this.#child.send({ task, argument })
      const [message] = await Promise.race([
        answer,
        end.then(([code]) => [{ error: `exit code ${code} instead of an answer` }]),
      ])
      if (message.error) throw new Error(message.error)
      return message.result
    } catch (error) {
      if (error.name !== 'AbortError') throw error
      throw new Error(`no answer to ${task} in ${PATIENCE / 1000} s`, { cause: error })
    } finally {
      clearTimeout(patience)
      controller.abort()
    }
  }

  #hasEnded() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #ended() {
    if (!this.#hasEnded()) await once(this.#child, 'exit')
  }
}

/**
 * Starts processes of one contender, and ends them when `work` is done, in the middle of whatever
 * they do: a thousand waiters of some libraries would need a minute to come to an end.
 *
 * @param {(racers: Racer[]) => Promise<object>} work
 * @returns {Promise<object>} what `work` found out, and the contender's `name`
 */
function withRacers(redis, file, count, work) {
  return withNewProcesses(redis, file, count, async (racers) => {
    await Promise.all(racers.map((racer) => racer.open()))
    return { name: racers[0].name, ...(await work(racers)) }
  })
}

/** One process that has not even loaded the contender yet. */
function withNewProcess(redis, file, work) {
  return withNewProcesses(redis, file, 1, ([racer]) => work(racer))
}

async function withNewProcesses(redis, file, count, work) {
  await forget(redis)
  const racers = Array.from({ length: count }, () => new Racer(file, redis.url))
  try {
    return await work(racers)
  } finally {
    await Promise.all(racers.map((racer) => racer.kill()))
  }
}

/**
 * Resolves once the server has noticed that earlier clients are gone, all but this one, and has
 * forgotten what they left. Scripts, too: where there are some of version 2, this package takes
 * its processes to be around, and pauses for them.
 */
async function forget(redis) {
  for (let tries = 0; tries < 100; tries++) {
    const info = await redis.command('INFO', 'clients')
    if (/^connected_clients:1\r?$/m.test(info)) break
    await sleep(10)
  }
  await redis.command('FLUSHALL')
  await redis.command('SCRIPT', 'FLUSH')
}

module.exports = { Racer, withRacers, withNewProcess }
