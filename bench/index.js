'use strict'

// `npm run bench`: what a lock costs with this package, next to the original and to others.

const { installContenders } = require('./install.js')
const { readOptions } = require('./options.js')
const { startRedis } = require('../__test__/support/redis.js')
const { measureInRounds } = require('./rounds.js')
const { summarize } = require('./summary.js')
const { judge } = require('./targets.js')
const { describeMachine } = require('./report/machine.js')
const { printReport, saveReport } = require('./report/index.js')

async function main() {
  const options = readOptions()
  installContenders()

  const redis = await startRedis()
  try {
    const machine = await describeMachine(redis)
    const started = Date.now()
    const samples = await measureInRounds(redis, options, (round) => {
      console.log(`round ${round} of ${options.rounds}…`)
    })

    const workloads = summarize(samples)
    const took = Math.round((Date.now() - started) / 1000)
    const report = { machine, options, took, workloads, targets: judge(workloads), samples }
    printReport(report)
    saveReport(report)
  } finally {
    await redis.close()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
