'use strict'

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')
const { installPackages } = require('../scripts/packages.js')
const { startRedis } = require('./support/redis.js')

/** The examples that show dist-lock in a program of some size, most of them with another package. */

const EXAMPLES = path.join(__dirname, '../examples')
const starting = startRedis({ after })
const tooOld = Number.parseInt(process.versions.node) < 20 && 'needs Node 20'

let redis

before(async () => {
  installPackages(EXAMPLES)
  redis = await starting
})

describe('each example runs', { concurrency: 2 }, () => {
  test('express.js sells what there is and no more', async () => {
    const { code, output } = await run('express.js')

    assert.equal(output, '5 chairs sold, 15 customers told that there are none left\n')
    assert.equal(code, 0)
  })

  test('bullmq.js works on jobs side by side, but not on two of one customer', async () => {
    const { code, output } = await run('bullmq.js')

    assert.match(output, /^15 jobs, up to [23] at once, 1 at a time for one customer\n$/)
    assert.equal(code, 0)
  })

  test('cron.js runs each job on one of three hosts', { skip: tooOld }, async () => {
    const { code, output } = await run('cron.js')

    const times = output.match(/^\S+(?= runs on (ada|bob|eve)$)/gm)
    assert.ok(times.length >= 2, output)
    assert.deepEqual(times, [...new Set(times)])
    assert.equal(code, 0)
  })

  test('nestjs.mts compiles, and sends an invoice once', { skip: tooOld }, async () => {
    const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc')
    const compiled = spawnSync(process.execPath, [tsc, '-p', EXAMPLES], { encoding: 'utf8' })
    assert.equal(compiled.stdout, '')

    const { code, output } = await run('nestjs.mjs')

    assert.equal(output, `[ 'sent', 'sent before' ]\n`)
    assert.equal(code, 0)
  })

  test('shutdown.js ends what it is at when it is told to end, and frees its lock', async (t) => {
    const worker = start(t, 'shutdown.js')
    await worker.says(/report 1 begins/)

    worker.kill('SIGTERM')

    const { code, output } = await worker.ended
    assert.match(output, /told to end\nreport (\d+) is done\nended\n$/)
    assert.equal(code, 0)
    assert.equal(await redis.command('EXISTS', 'lock:reports'), 0)
  })

  test('leader-election.js has one leader, whom another follows when it dies or ends', async (t) => {
    const ada = start(t, 'leader-election.js', 'ada')
    await ada.says(/ada leads/)
    const bob = start(t, 'leader-election.js', 'bob')
    await bob.says(/bob stands/)
    const eve = start(t, 'leader-election.js', 'eve')
    await eve.says(/eve stands/)

    ada.kill('SIGKILL')
    const [second, third] = await Promise.race([
      bob.says(/bob leads/).then(() => [bob, eve]),
      eve.says(/eve leads/).then(() => [eve, bob]),
    ])
    assert.doesNotMatch(third.output(), / leads/)
    second.kill('SIGTERM')

    await third.says(/ leads/)
    assert.match((await second.ended).output, / steps down\n$/)
    third.kill('SIGINT')
    assert.equal((await third.ended).code, 0)
    assert.equal(await redis.command('EXISTS', 'lock:leader'), 0)
  })
})

function run(name) {
  return start({ after() {} }, name).ended
}

/** Starts an example on the Redis; `says` waits until it has printed something. */
function start(t, name, ...args) {
  const env = { ...process.env, REDIS_URL: redis.url }
  const child = spawn(process.execPath, [path.join(EXAMPLES, name), ...args], {
    env,
    timeout: 60000,
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  const listeners = new Set()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      output += text
      for (const listener of listeners) listener()
    })
  }
  const ended = once(child, 'close').then(([code]) => ({ code, output }))
  const says = (pattern) =>
    new Promise((resolve, reject) => {
      const listen = () => pattern.test(output) && resolve()
      listeners.add(listen)
      listen()
      ended.then(() => reject(new Error(`${name} never said ${pattern}:\n${output}`)))
    })
  return { ended, says, output: () => output, kill: (signal) => child.kill(signal) }
}
