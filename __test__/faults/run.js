'use strict'

// npm run test:faults [-- --seconds 60] [--seed 1] [--topology quorum]…

const { appendFileSync } = require('node:fs')
const { parseArgs } = require('node:util')
const { LOSS } = require('./faults.js')
const { topologies } = require('./topologies.js')
const { trial, violations } = require('./trial.js')

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    topology: { type: 'string', multiple: true, default: Object.keys(topologies) },
    // Only what asynchronous failover loses, with locks that are held for long.
    loss: { type: 'boolean', default: false },
    // A file for all that happened, a line each.
    log: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})

async function main() {
  let failed = 0
  for (const topology of values.topology) {
    const ends = []
    const t = { after: (end) => ends.push(end) }
    const plan = { topology, seconds: Number(values.seconds), seed: Number(values.seed) }
    if (values.loss) Object.assign(plan, { only: [LOSS], ttl: 10_000, longHolds: 0.3 })
    let result
    try {
      result = await trial(t, plan)
    } finally {
      for (const end of ends.reverse()) await end()
    }
    const found = violations(result)
    failed += found.length
    if (values.log) log(values.log, result)
    report(result, found)
  }
  process.exitCode = failed === 0 ? 0 : 1
}

function log(file, { topology, seed, events }) {
  const lines = [{ is: 'trial', topology, seed }, ...events].map((event) => JSON.stringify(event))
  appendFileSync(file, `${lines.join('\n')}\n`)
}

function report(result, found) {
  const { topology, seconds, seed, faults, calls, grants, overlaps, lost, recovery } = result
  const number = Object.values(faults).reduce((sum, count) => sum + count, 0)
  console.log(
    `${topology}: seed ${seed}, ${seconds} s, ${number} faults, ${calls} calls, ${grants} grants; ` +
      `${found.length} violations; ${lost.length} locks lost and told, ${overlaps.length} overlaps; ` +
      `back after ${Math.round(recovery)} ms`,
  )
  if (values.verbose) console.log({ faults, outcomes: result.outcomes, overlaps, lost })
  for (const violation of found) console.log(`  ${violation}`)
}

main()
