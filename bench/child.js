'use strict'

// One contender in a process of its own: `node child.js <contender> <url>`, started by `racer.js`,
// which tells it what to do and when.

const free = require('./tasks/free.js')
const crowd = require('./tasks/crowd.js')
const turns = require('./tasks/turns.js')
const wait = require('./tasks/wait.js')
const block = require('./tasks/block.js')
const loop = require('./tasks/loop.js')
const many = require('./tasks/many.js')
const { now } = require('./clock.js')

const [file, url] = process.argv.slice(2)
let contender

const TASKS = {
  open: async () => {
    contender = require(`./contenders/${file}.js`)
    await contender.open(url)
    return { name: contender.name }
  },
  /** From nothing to the first lock. */
  start: async () => {
    const [begun, before] = [now(), process.memoryUsage.rss()]
    const { name } = await TASKS.open()
    await contender.acquire('bench')
    return { name, first: now() - begun, rss: process.memoryUsage.rss() - before }
  },
  ...free,
  ...crowd,
  ...turns,
  ...wait,
  ...block,
  ...loop,
  ...many,
  close: async () => {
    await contender.close()
    // Nobody keeps the process alive now but the channel to its parent.
    setImmediate(() => process.disconnect())
  },
}

process.on('message', async ({ task, argument }) => {
  try {
    process.send({ result: await TASKS[task](contender, argument) })
  } catch (error) {
    process.send({ error: `${error?.message ?? error}` })
  }
})

// What a library throws out of nowhere is an answer, too.
process.on('uncaughtException', (error) => {
  console.error(error)
  process.send({ error: `uncaught: ${error?.message ?? error}` }, () => process.exit(1))
})

// Without a parent there is nobody to do this for.
process.on('disconnect', () => process.exit())
