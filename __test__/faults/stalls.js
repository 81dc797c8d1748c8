'use strict'

// npm run test:stalls [-- --seed 1] [file…]
//
// Runs test files, by default all, one after the other, while their processes stand still now and then, all
// of them or some, for up to half a second: as on a machine that has too much to do. Each must pass all the
// same. Needs Linux.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')
const { Chance } = require('./chance.js')

const TESTS = path.join(__dirname, '..')
/** Milliseconds between two stalls, and how long one is, at the most. */
const BETWEEN = 600
const LONGEST = 500

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: String(Date.now() % 1e6) } },
})

/** A process and all that it has started, but those that somebody has stopped. */
function family(ancestor) {
  const children = new Map()
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [state, parent] = statusOf(pid)
    if (state === undefined || state === 'T') continue
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const found = [String(ancestor)]
  for (const pid of found) found.push(...(children.get(pid) ?? []))
  return found
}

/** Its state and its parent; nothing, if it has ended. */
function statusOf(pid) {
  try {
    return fs
      .readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return []
  }
}

function signal(pids, name) {
  for (const pid of pids) {
    try {
      process.kill(Number(pid), name)
    } catch {
      // It has ended.
    }
  }
}

/** Stops some of them at a time until `child` has ended. Says how often. */
async function disturb(child, chance) {
  let stalls = 0
  for (; child.exitCode === null && child.signalCode === null; stalls++) {
    await sleep(chance.between(0, BETWEEN))
    const all = family(child.pid)
    const some = chance.is(0.4) ? all : [chance.oneOf(all), chance.oneOf(all)]
    signal(some, 'SIGSTOP')
    await sleep(chance.between(0, LONGEST))
    signal(some, 'SIGCONT')
  }
  return stalls
}

async function main() {
  const all = fs.readdirSync(TESTS).filter((name) => name.endsWith('.test.js'))
  const files = positionals.length > 0 ? positionals : all.map((name) => path.join(TESTS, name))
  const chance = new Chance(Number(values.seed))
  console.log(`seed ${values.seed}`)
  for (const file of files) {
    const child = spawn(process.execPath, ['--test', '--test-reporter=spec', file])
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
    const [[code], stalls] = await Promise.all([once(child, 'close'), disturb(child, chance)])
    console.log(`${code === 0 ? 'passed' : 'FAILED'} ${path.basename(file)}, ${stalls} stalls`)
    if (code === 0) continue
    console.log(output)
    process.exitCode = 1
  }
}

main()
