'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')
const { text } = require('node:stream/consumers')
const distLock = require('../../index.js')
const { startRecorder } = require('./recorder.js')

const PROGRAM = path.join(__dirname, '..', '..', 'target', 'bare', 'release', 'bare')

/** As many locks as this package puts into one command. */
const TOGETHER = 64

/** What was recorded, by how many are in flight. */
const recorded = new Map()
let server

/** No Node.js: `bare/`, which sends what this package sends, and does nothing else. */
module.exports = {
  name: 'no Node.js, Rust with our commands',
  open(url) {
    server = url
  },
  async measure({ inFlight, seconds }) {
    if (!recorded.has(inFlight)) recorded.set(inFlight, await record(inFlight))
    const bare = spawn(PROGRAM, [server, `${seconds}`], { stdio: ['pipe', 'pipe', 'inherit'] })
    bare.stdin.on('error', () => {}) // It has ended, and said why.
    bare.stdin.end(recorded.get(inFlight).map(toLines).join('\n'))
    const figures = await text(bare.stdout)
    if (figures === '') throw new Error('bare failed, see above')
    return JSON.parse(figures)
  },
  close() {},
}

/**
 * What this package sends for so many locks, in lanes that can go on beside each other.
 *
 * @returns {Promise<{ locks: number, acquire: string[][], release: string[][] }[]>}
 */
async function record(inFlight) {
  const recorder = await startRecorder(new URL(server))
  const locks = distLock(recorder.url)
  try {
    // Once to connect and to find out what the server can do.
    await recordLane(recorder, locks, 0, Math.min(TOGETHER, inFlight))
    const lanes = []
    for (let first = 0; first < inFlight; first += TOGETHER) {
      const count = Math.min(TOGETHER, inFlight - first)
      lanes.push(await recordLane(recorder, locks, first, count))
    }
    return lanes
  } finally {
    await locks.close()
    recorder.close()
  }
}

async function recordLane(recorder, locks, first, count) {
  const names = Array.from({ length: count }, (_, index) => `bench:${first + index}`)
  recorder.taken()
  const held = await Promise.all(names.map((name) => locks.acquire(name)))
  const acquire = recorder.taken()
  await Promise.all(held.map((lock) => lock.release()))
  return { locks: count, acquire, release: recorder.taken() }
}

/** The number of locks; each command, its arguments apart by a tab; an empty line after each step. */
function toLines({ locks, acquire, release }) {
  const lines = [acquire, release].map((step) => step.map((one) => one.join('\t')).join('\n'))
  return `${locks}\n${lines.join('\n\n')}\n`
}
