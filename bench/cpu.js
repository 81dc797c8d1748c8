'use strict'

const fs = require('node:fs')

/** The main thread, whose id on Linux is the process's own. Its first number is nanoseconds. */
const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`

/**
 * Processor time used so far, in microseconds: by the thread that runs JavaScript (undefined where
 * the system does not tell), and by all threads of the process.
 */
function cpuTime() {
  const { user, system } = process.cpuUsage()
  return { thread: threadTime(), process: user + system }
}

function threadTime() {
  // Node 22.19 and newer. What the event loop says of its utilization is no substitute: while the
  // thread waits for a core, that counts as busy.
  if (process.threadCpuUsage) {
    const { user, system } = process.threadCpuUsage()
    return user + system
  }
  try {
    return Number(fs.readFileSync(SCHEDSTAT, 'latin1').split(' ')[0]) / 1000
  } catch {
    return undefined
  }
}

module.exports = { cpuTime }
