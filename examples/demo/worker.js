'use strict'

// One of those who increment: a process, or a thread where there is no Redis. `team.js` starts it.

const { performance } = require('node:perf_hooks')
const { setTimeout: pause } = require('node:timers/promises')
const { parentPort, workerData } = require('node:worker_threads')
const { openCounter } = require('./counter.js')
const { guards } = require('./guards.js')

/** Milliseconds between reading and writing, and at most between two turns. */
const THOUGHT = 2
const REST = 10

const { where, member } = workerData ?? JSON.parse(process.argv[2])

async function main() {
  const counter = openCounter(where)
  const guard = guards[member.guard](where)
  await counter.read() // Connected: from here on everybody starts at the same time.

  const begun = heard('begin')
  let isWorking = true
  heard('finish').then(() => (isWorking = false))
  tell('ready')
  await begun

  while (isWorking) {
    const asked = performance.now()
    let waited
    await guard.run(member.name, async () => {
      waited = performance.now() - asked
      await increment(counter)
    })
    tell({ waited })
    await pause(Math.random() * REST)
  }

  tell('done')
  leave()
}

/** Right only while nobody else does the same. */
async function increment(counter) {
  const value = await counter.read()
  await pause(THOUGHT)
  await counter.write(value + 1)
}

const port = parentPort ?? process

function tell(message) {
  if (parentPort) parentPort.postMessage(message)
  else process.send(message)
}

function heard(word) {
  return new Promise((resolve) => {
    port.on('message', (message) => message === word && resolve())
  })
}

function leave() {
  if (parentPort) parentPort.close()
  else process.disconnect()
}

// Also when the demo itself is gone, and there is nobody to work for.
process.on('disconnect', () => process.exit())

main()
