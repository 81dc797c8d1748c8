'use strict'

// The tests that version 2 was published with, unchanged, with version 3 in its place.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { startRedis } = require('./support/redis.js')

const PACKAGE = {
  'version 2': path.dirname(require.resolve('dist-lock-2/package.json')),
  'version 3': path.join(__dirname, '..'),
}
const MOCHA = require.resolve('mocha-1/bin/_mocha')

for (const [version, redis] of [
  ['version 2', 'redis-0.12'], // What it was tested with: this shows that the tests run at all.
  ['version 3', 'redis-0.12'],
  ['version 3', 'redis-2.8'],
  ['version 3', 'redis-3.1'],
]) {
  test(`${version} on ${redis} passes the tests of version 2`, async (t) => {
    const server = await startRedis(t)
    const directory = arrange(t, version, redis)

    const report = await runMocha(t, directory, server.port)

    assert.deepEqual(
      report.failures.map(({ title, err }) => [title, err]),
      [],
    )
    assert.deepEqual([report.stats.tests, report.stats.passes], [13, 13])
  })
}

/** A directory as the tests expect it: the package in `../`, and their libraries by their names. */
function arrange(t, version, redis) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-original-'))
  t.after(() => fs.rmSync(directory, { recursive: true }))
  const write = (name, text) => {
    fs.mkdirSync(path.join(directory, path.dirname(name)), { recursive: true })
    fs.writeFileSync(path.join(directory, name), text)
  }
  const library = (name) => `module.exports = require(${JSON.stringify(require.resolve(name))})\n`

  write('index.js', library(PACKAGE[version]))
  write('test/test.js', fs.readFileSync(path.join(PACKAGE['version 2'], 'test/test.js')))
  write('node_modules/should/index.js', library('should-4'))
  write('node_modules/async/index.js', library('async-0.9'))
  // Their createClient() means the port 6379, where the server of somebody else may be.
  write(
    'node_modules/redis/index.js',
    `const redis = require(${JSON.stringify(require.resolve(redis))})
exports.createClient = () => redis.createClient(Number(process.env.REDIS_PORT), '127.0.0.1')\n`,
  )
  return directory
}

async function runMocha(t, directory, port) {
  const child = spawn(process.execPath, [MOCHA, '--reporter', 'json'], {
    cwd: directory,
    env: { ...process.env, REDIS_PORT: port },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => (output += chunk))
  await once(child, 'close')
  return JSON.parse(output)
}
