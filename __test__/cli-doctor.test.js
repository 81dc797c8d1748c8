'use strict'

// `dist-lock doctor`, and what all commands have in common.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { version } = require('../package.json')
const { commands } = require('../lib/cli/main.js')
const { address, connect } = require('../lib/cli/connection.js')
const { RIGHTS, check } = require('../lib/cli/doctor/checks.js')
const exitCodes = require('../lib/cli/exit-codes.js')
const { cli } = require('./support/cli.js')
const { freePort, startRedis } = require('./support/redis.js')

let redis
const starting = startRedis({ after }, { args: ['--appendonly', 'yes'] })
before(async () => (redis = await starting))

/** What doctor finds, by name. */
async function findings(t, url, env) {
  const args = ['doctor', '--json', '--samples', '20', '--url', url]
  const { code, stdout, stderr } = await cli(t, args, env)
  assert.equal(stderr, '')
  const document = JSON.parse(stdout)
  const byName = Object.fromEntries(document.findings.map((finding) => [finding.name, finding]))
  return { code, document, byName }
}

test('a server that is as it should be has no problems, and nothing is left there', async (t) => {
  const { code, document, byName } = await findings(t, redis.url)

  assert.equal(code, 0)
  assert.equal(document.healthy, true)
  assert.equal(document.url, redis.url)
  assert.match(byName.server.message, /^Redis \d+\.\d+\.\d+, standalone/)
  assert.equal(byName.persistence.level, 'ok')
  assert.equal(document.mode.mode, 'queue')
  assert.ok(document.latency.median > 0 && document.latency.p99 >= document.latency.median)
  assert.ok(document.handoff > 0)
  assert.ok(Math.abs(document.clock.ahead) < 1000, 'the server is on this machine')
  assert.deepEqual(await redis.lockKeys(), [])
})

test('people get a line for each finding, without colours where there is no terminal', async (t) => {
  const { code, stdout } = await cli(t, ['doctor', '--samples', '5'], { REDIS_URL: redis.url })

  assert.equal(code, 0)
  assert.ok(stdout.startsWith(`${redis.url}\n\n✓ server `), stdout)
  assert.match(stdout, /^✓ queue +waiters are handed the lock/m)
  assert.ok(!stdout.includes('\x1b'))
})

test('a server that may drop locks or forget them is told, with what to do', async (t) => {
  const args = ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']
  const server = await startRedis(t, { args })

  const { code, byName } = await findings(t, server.url)

  assert.equal(code, 1)
  assert.equal(byName.eviction.level, 'problem')
  assert.match(byName.eviction.advice, /noeviction/)
  assert.equal(byName.persistence.level, 'warning')
})

test('a replica is told from a primary', async (t) => {
  const replica = await startRedis(t, { replicaOf: redis })

  const { code, byName } = await findings(t, replica.url)

  assert.equal(code, 1)
  assert.match(byName.role.message, /^this server is a replica/)
})

test('a user who may not queue learns what is missing, and so does one who may not ask', async (t) => {
  const rights = '+evalsha +eval +exists +hget +hmget +hmset +pexpire +del'
  const users = { ada: `on >hunter2 ~lock:* ${rights}` }
  const server = await startRedis(t, { users })

  const { code, document, byName } = await findings(t, server.url, {
    DIST_LOCK_USERNAME: 'ada',
    DIST_LOCK_PASSWORD: 'hunter2',
  })

  assert.equal(code, 0)
  assert.equal(byName.queue.level, 'warning')
  assert.match(byName.queue.advice, /~dist-lock:\* &dist-lock:\*/)
  assert.match(byName.server.advice, /\+info/)
  assert.ok(!JSON.stringify(document).includes('hunter2'))
})

test('the rights that doctor names are those that are documented', () => {
  const page = fs.readFileSync(path.join(__dirname, '../docs/deployments.md'), 'utf8')
  const [, documented] = /```acl\nACL SETUSER locks (.*)\n```/.exec(page)

  const others = ['on', '>password', '~lock:*', 'resetchannels', '-@all']
  const wanted = documented.split(' ').filter((word) => !others.includes(word))
  assert.deepEqual(RIGHTS.split(' '), wanted)
})

test('without Redis doctor says so, with 69', async (t) => {
  const url = `redis://:hunter2@127.0.0.1:${await freePort()}`

  const { code, stderr } = await cli(t, ['doctor', '--connect-timeout', '100ms', '--url', url])

  assert.equal(code, 69)
  assert.match(stderr, /^dist-lock: cannot reach Redis: 127\.0\.0\.1:/)
  assert.doesNotMatch(stderr, /hunter2/)
})

test('where Redis is, is shown without a password, whatever is given', () => {
  const shown = (...url) => address(connect({ url }).source.settings())

  assert.equal(shown('redis://ada:hunter2@[::1]:7000/3'), 'redis://[::1]:7000/3')
  assert.equal(shown('rediss://:hunter2@redis.internal'), 'rediss://redis.internal:6379')
  assert.equal(shown('unix:///a/redis.sock?password=hunter2&db=1'), 'unix:///a/redis.sock?db=1')
  const sentinel = 'redis+sentinel://:hunter2@a:1,b/2?name=main&sentinelPassword=hunter2'
  assert.equal(shown(sentinel), 'redis+sentinel://a:1,b:26379/2?name=main')
  assert.equal(shown('redis+cluster://:hunter2@a:1,b'), 'redis+cluster://a:1,b:6379')
  assert.equal(shown('memory:x'), 'memory:x')
  const three = ['a', 'b', 'c'].map((host) => `redis://:hunter2@${host}:1`)
  assert.equal(shown(...three), 'redis://a:1 redis://b:1 redis://c:1')
})

test('findings follow from the facts', () => {
  const facts = {
    info: {
      redis_version: '7.2.0',
      role: 'master',
      aof_enabled: '1',
      connected_slaves: '2',
      used_memory: '95',
      maxmemory: '100',
      maxmemory_policy: 'noeviction',
      connected_clients: '9000',
      maxclients: '10000',
    },
    connecting: 1,
    mode: { mode: 'queue' },
    latency: { median: 1, p99: 400, samples: 10 },
    handoff: 900,
    clock: { ahead: 5000, within: 1 },
  }
  const level = (facts, name) => check(facts).find((finding) => finding.name === name)?.level

  for (const name of ['memory', 'replication', 'clients', 'hand-off', 'latency'])
    assert.equal(level(facts, name), 'warning', name)
  assert.equal(level(facts, 'clock'), 'note')
  const guarded = { ...facts, info: { ...facts.info, min_slaves_good_slaves: '2' } }
  assert.equal(level(guarded, 'replication'), 'ok')
  const failing = { ...facts, info: { ...facts.info, aof_last_write_status: 'err' } }
  assert.equal(level(failing, 'persistence'), 'problem')
})

test('every command explains itself with examples, by help and by --help', async (t) => {
  for (const [name, command] of Object.entries(commands)) {
    const [help, flag] = await Promise.all([cli(t, ['help', name]), cli(t, [name, '--help'])])

    assert.equal(help.code, 0)
    assert.equal(help.stdout, flag.stdout)
    assert.match(help.stdout, /Examples:/)
    assert.match(help.stdout, /Exit codes?:/)
    for (const option of Object.keys(command.options))
      assert.ok(help.stdout.includes(`--${option}`), `${name} --${option}`)
  }
})

test('the exit codes are documented', () => {
  const page = fs.readFileSync(path.join(__dirname, '../docs/command-line.md'), 'utf8')

  for (const [name, code] of Object.entries(exitCodes))
    assert.match(page, new RegExp(`^\\| ${code}( \\+ n)? +\\| `, 'm'), name)
})

test('without a command it lists them, with 64, and it knows its version', async (t) => {
  const [nothing, help, unknown, its] = await Promise.all([
    cli(t, []),
    cli(t, ['--help']),
    cli(t, ['runn']),
    cli(t, ['--version']),
  ])

  assert.equal(nothing.code, 64)
  assert.equal(nothing.stderr, help.stdout)
  for (const [name, { summary }] of Object.entries(commands)) {
    assert.ok(help.stdout.includes(summary), name)
  }
  assert.equal(unknown.code, 64)
  assert.match(unknown.stderr, /there is no command "runn"/)
  assert.equal(its.stdout, `${version}\n`)
})
