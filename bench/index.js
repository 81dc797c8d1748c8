'use strict'

// `npm run bench`: what a lock costs with this package, next to the original and to others.

const { installContenders, buildBare } = require('./install.js')
const { readOptions } = require('./options.js')
const { startRedis } = require('../__test__/support/redis.js')
const { compareWithCommitted } = require('./check.js')
const { measureInRounds } = require('./rounds.js')
const { describeMachine } = require('./report/machine.js')
const { printRun, saveRun, writeReport } = require('./report/index.js')

async function main() {
  const { chosen, isCheck, isReport, save } = readOptions()
  if (isReport) return writeReport()

  installContenders()
  buildBare()

  const redis = await startRedis()
  try {
    const machine = await describeMachine(redis)
    for (const { workload, plan } of chosen) {
      const run = await runOne(redis, workload, plan, machine)
      if (isCheck) {
        if (!compareWithCommitted(workload, run)) process.exitCode = 1
        continue
      }
      printRun(workload, run)
      if (save) saveRun(workload, run)
    }
    if (save) console.log('\nSaved in bench/results/ and in the README.')
  } finally {
    await redis.close()
  }
}

async function runOne(redis, workload, plan, machine) {
  const started = Date.now()
  const seconds = () => Math.round((Date.now() - started) / 1000)
  const samples = await measureInRounds(redis, workload, plan, (round) => {
    console.log(`${workload.name}: round ${round} of ${plan.rounds}, after ${seconds()} s…`)
  })
  return { machine, plan, took: seconds(), samples }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
