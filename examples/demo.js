'use strict'

// `npm run demo`: six processes increment one counter in Redis, each by GET, a moment of thought
// and SET. Without a lock they overwrite each other's work. With a lock not one increment is lost,
// although half of them still run dist-lock 2.
//
//     REDIS_URL=redis://… npm run demo     on a server of yours
//     REDIS_URL=memory: npm run demo       without any: six threads, one memory
//     npm run demo -- --short              in a hurry
//
// What a program does with a lock is in demo/worker.js and demo/guards.js.

const { openStore } = require('./demo/store.js')
const { runTeam } = require('./demo/team.js')
const { say, showProgress, showResult } = require('./demo/display.js')

const isShort = process.argv.includes('--short')

async function main(signal) {
  const store = await openStore()
  try {
    say(store.description)
    const unguarded = store.members.map(({ name }) => ({ name, guard: 'nothing' }))
    await act('Without a lock', { store, members: unguarded, seconds: isShort ? 1 : 2, signal })

    const { members } = store
    const lost = await act('With one lock', { store, members, seconds: isShort ? 2 : 8, signal })
    if (lost !== 0) process.exitCode = 1
  } finally {
    await store.close()
  }
}

/** Lets the members increment the counter for some seconds; returns how many increments it lacks. */
async function act(title, { store, members, seconds, signal }) {
  say(`\n${title}, for ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`)
  await store.counter.write(0)

  const progress = showProgress(members)
  try {
    const { where } = store
    const { onTurn } = progress
    const outcome = await runTeam({ where, members, seconds, onTurn, signal })
    progress.end()
    return showResult(outcome, await store.counter.read())
  } finally {
    progress.end()
  }
}

/** Ctrl-C ends everything in order: no process, no server and no key stays behind. */
const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interrupt.abort())

main(interrupt.signal).catch((error) => {
  say(interrupt.signal.aborted ? '\nInterrupted.' : `\nThe demo failed: ${error.message}`)
  process.exitCode = interrupt.signal.aborted ? 130 : 1
})
