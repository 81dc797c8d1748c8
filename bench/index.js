'use strict'

// `npm run bench`: what a lock costs with this package, next to the original and to others.

const { installContenders } = require('./install.js')
const { readOptions } = require('./options.js')
const { startRedis } = require('../__test__/support/redis.js')
const { measureInRounds } = require('./rounds.js')
const { describeMachine } = require('./report/machine.js')
const { printRun, saveRun } = require('./report/index.js')

async function main() {
  const chosen = readOptions()
  installContenders()

  const redis = await startRedis()
  try {
    const machine = await describeMachine(redis)
    for (const { workload, plan } of chosen) {
      const run = await runOne(redis, workload, plan, machine)
      printRun(workload, run)
      saveRun(workload, run)
    }
    console.log('\nSaved in bench/results/latest.md and latest.json.')
  } finally {
    await redis.close()
  }
}

async function runOne(redis, workload, plan, machine) {
  const started = Date.now()
  const samples = await measureInRounds(redis, workload, plan, (round) => {
    console.log(`${workload.name}: round ${round} of ${plan.rounds}…`)
  })
  return { machine, plan, took: Math.round((Date.now() - started) / 1000), samples }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
