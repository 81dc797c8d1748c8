'use strict'

/**
 * The server's processor time so far, in microseconds: of the thread that runs the commands, where
 * it says so.
 */
async function serverCpuTime(redis) {
  const info = await redis.command('INFO', 'cpu')
  const seconds = (name) => {
    const match = info.match(new RegExp(`^${name}(?:_main_thread)?:(.+)$`, 'gm'))
    return Number(match.at(-1).split(':')[1])
  }
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

/**
 * How many commands come to the server while `work` is done, those that scripts call not counted:
 * `INFO commandstats` would mix the two.
 */
async function countCommands(redis, work) {
  const monitor = await redis.monitor()
  try {
    await work()
    const lines = await monitor.lines()
    return lines.filter((line) => !/^[\d.]+ \[\d+ lua\]/.test(line)).length
  } finally {
    monitor.stop()
  }
}

module.exports = { serverCpuTime, countCommands }
