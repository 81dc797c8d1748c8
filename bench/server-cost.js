'use strict'

/**
 * What the server does while `work` is done.
 *
 * @param {() => Promise<T>} work
 * @returns {Promise<{ result: T, cpu: number, bytes: number, scripts: number }>} microseconds of
 *   processor time, of the thread that runs the commands where it says so; bytes from and to its
 *   clients; how often these had a script run
 * @template T
 */
async function measureServer(redis, work) {
  const scriptsBefore = scriptCalls(await redis.command('INFO', 'commandstats'))
  const cpuBefore = cpuTime(await redis.command('INFO', 'cpu'))
  const statsBefore = await redis.command('INFO', 'stats')
  const result = await work()
  const statsAfter = await redis.command('INFO', 'stats')
  const cpuAfter = cpuTime(await redis.command('INFO', 'cpu'))
  const scriptsAfter = scriptCalls(await redis.command('INFO', 'commandstats'))
  // The first answer was counted after it was written.
  const bytes = traffic(statsAfter) - traffic(statsBefore) - statsBefore.length
  return { result, cpu: cpuAfter - cpuBefore, bytes, scripts: scriptsAfter - scriptsBefore }
}

function cpuTime(info) {
  const seconds = (name) => field(info, `${name}(?:_main_thread)?`)
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

function scriptCalls(info) {
  const calls = info.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)
  return [...calls].reduce((sum, [, count]) => sum + Number(count), 0)
}

function traffic(info) {
  return field(info, 'total_net_input_bytes') + field(info, 'total_net_output_bytes')
}

function field(info, name) {
  const match = info.match(new RegExp(`^${name}:(.+)$`, 'gm'))
  return Number(match.at(-1).split(':')[1])
}

/**
 * How many commands come to the server while `work` is done, those that scripts call not counted:
 * `INFO commandstats` would mix the two. MONITOR slows the server down, so nothing else should be
 * measured meanwhile.
 *
 * @param {() => Promise<T>} work
 * @returns {Promise<{ result: T, commands: number }>}
 * @template T
 */
async function countCommands(redis, work) {
  const monitor = await redis.monitor()
  try {
    const result = await work()
    const lines = await monitor.lines()
    const commands = lines.filter((line) => !/^[\d.]+ \[\d+ lua\]/.test(line)).length
    return { result, commands }
  } finally {
    monitor.stop()
  }
}

module.exports = { measureServer, countCommands }
