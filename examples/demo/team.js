'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')

const WORKER = path.join(__dirname, 'worker.js')

/**
 * Lets all members work at the same time for some seconds, each in a process of its own (in a
 * thread, where the counter is in memory).
 *
 * @param {object} work
 * @param {import('./store.js').Where} work.where
 * @param {{ name: string, guard: string }[]} work.members
 * @param {number} work.seconds
 * @param {(name: string) => void} work.onTurn   called when a member had its turn
 * @param {AbortSignal} work.signal   ends it early, with an error
 * @returns {Promise<Outcome>}
 *
 * @typedef {object} Outcome
 * @property {{ name: string, turns: number, longestWait: number }[]} results
 * @property {number} seconds   until the last one was through
 */
async function runTeam({ where, members, seconds, onTurn, signal }) {
  signal.throwIfAborted()
  const workers = members.map((member) => startWorker(where, member))
  const all = (word) => Promise.all(workers.map((worker) => heard(worker, word)))
  const tellAll = (word) => workers.forEach((worker) => worker.tell(word))
  const endAll = () => workers.forEach((worker) => worker.end())
  signal.addEventListener('abort', endAll)

  try {
    const results = workers.map(({ name, events }) => keepCount(name, events, onTurn))
    const done = all('done')
    // A member that ends before its time ends everybody's.
    await Promise.race([all('ready'), done])
    const begun = Date.now()
    tellAll('begin')
    await Promise.race([sleep(seconds * 1000, undefined, { ref: false }), done])
    tellAll('finish')
    await done
    const took = (Date.now() - begun) / 1000
    await Promise.all(workers.map((worker) => worker.ended))
    return { results, seconds: took }
  } finally {
    signal.removeEventListener('abort', endAll)
    endAll()
    await Promise.all(workers.map((worker) => worker.ended))
  }
}

function startWorker(where, member) {
  const { name } = member
  if (where.memory) {
    const thread = new Worker(WORKER, { workerData: { where, member } })
    const tell = (word) => thread.postMessage(word)
    return { name, events: thread, ended: exit(thread), tell, end: () => thread.terminate() }
  }
  const child = fork(WORKER, [JSON.stringify({ where, member })])
  const tell = (word) => child.send(word)
  return { name, events: child, ended: exit(child), tell, end: () => child.kill() }
}

function exit(events) {
  return new Promise((resolve) => events.once('exit', resolve))
}

/** Waits for a member's word; fails if the member ends instead. */
function heard({ name, events }, word) {
  return new Promise((resolve, reject) => {
    events.on('message', (message) => message === word && resolve())
    events.once('error', reject)
    events.once('exit', () => reject(new Error(`${name} ended before its work was done`)))
  })
}

function keepCount(name, events, onTurn) {
  const result = { name, turns: 0, longestWait: 0 }
  events.on('message', ({ waited }) => {
    if (waited === undefined) return
    result.turns += 1
    result.longestWait = Math.max(result.longestWait, waited)
    onTurn(name)
  })
  return result
}

module.exports = { runTeam }
