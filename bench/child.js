'use strict'

// One contender in a process of its own: `node child.js <contender> <url>`, started by `racer.js`,
// which tells it what to do and when.

const { measure, run } = require('./measure.js')

const [file, url] = process.argv.slice(2)
const contender = require(`./contenders/${file}.js`)

const TASKS = {
  open: async () => {
    await contender.open(url)
    return { name: contender.name }
  },
  measure: (workload) => measure(contender, workload),
  run: (workload) => run(contender, workload),
  close: async () => {
    await contender.close()
    // Nobody keeps the process alive now but the channel to its parent.
    setImmediate(() => process.disconnect())
  },
}

process.on('message', async ({ task, workload }) => {
  process.send({ result: await TASKS[task](workload) })
})
