'use strict'

// `dist-lock run`: a command that runs only while its lock is held.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, beforeEach, test } = require('node:test')
const distLock = require('..')
const { cli } = require('./support/cli.js')
const { eventually } = require('./support/outcome.js')
const { freePort, startRedis } = require('./support/redis.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})
beforeEach(() => redis.command('FLUSHALL'))

const run = (t, args, env) => cli(t, ['run', ...args], { DIST_LOCK_URL: redis.url, ...env })

/** Ends by itself, in case that nothing else ends it. */
const LOOP = 'n=0; while [ $((n += 1)) -lt 600 ]; do sleep 0.05; done'
/** Says that it runs, and which signal ends it. */
const WORK = `trap 'echo got TERM; exit 15' TERM; trap 'echo got INT; exit 2' INT; trap 'echo got HUP; exit 1' HUP
  echo runs; ${LOOP}`
/** Cannot be stopped by asking. */
const STUBBORN = `trap 'echo got TERM' TERM; echo runs; ${LOOP}; echo survived`

const isFree = async (name) => (await redis.command('EXISTS', `lock:${name}`)) === 0

test('the command runs while the lock is held, and its exit code is passed on', async (t) => {
  const running = run(t, ['--owner', 'ada', 'a', '--', 'sh', '-c', 'echo runs; read end; exit 3'])
  await running.said('runs')

  assert.equal((await locks.getAcquiredLock('a')).owner, 'ada')
  running.child.stdin.end('end\n')

  const { code, stdout, stderr } = await running
  assert.deepEqual({ code, stdout, stderr }, { code: 3, stdout: 'runs\n', stderr: '' })
  assert.ok(await isFree('a'))
})

test('the command is told the resource, the key, the owner and a token that grows', async (t) => {
  const script =
    'echo "$DIST_LOCK_RESOURCE $DIST_LOCK_KEY $DIST_LOCK_OWNER $DIST_LOCK_TOKEN"; env | grep -c "$SECRET"'
  const runOnce = async () => {
    const args = ['--owner', 'ada', '--prefix', 'l:', 'a', '--', 'sh', '-c', script]
    const { stdout } = await run(t, args, { SECRET: 'DIST_LOCK_ID' })
    return stdout.split('\n')[0].split(' ')
  }

  const [first, second] = [await runOnce(), await runOnce()]

  assert.deepEqual(first.slice(0, 3), ['a', 'l:a', 'ada'])
  assert.ok(Number(second[3]) > Number(first[3]), `${first[3]} ${second[3]}`)
})

test('of ten that start together with --wait 0 exactly one runs, and the others are quiet', async (t) => {
  const started = Array.from({ length: 10 }, () =>
    run(t, ['--wait', '0', 'a', '--', 'sh', '-c', 'echo runs; read end']),
  )
  const ended = []
  for (const running of started) running.then((outcome) => ended.push(outcome))

  await eventually(() => ended.length === 9, 'nine have ended', 50000)
  for (const { code, stdout, stderr } of ended) {
    assert.deepEqual({ code, stdout, stderr }, { code: 75, stdout: '', stderr: '' })
  }
  for (const { child } of started) child.stdin.end('end\n')
  await Promise.all(started)

  assert.equal(ended.filter(({ code }) => code === 0).length, 1)
})

test('with --wait it waits in the queue, and says when that was in vain', async (t) => {
  const lock = await locks.acquire('a')

  const inVain = await run(t, ['--wait', '1s', 'a', '--', 'echo', 'runs'])
  const waiting = run(t, ['a', '--', 'echo', 'runs'])
  await eventually(() => redis.command('EXISTS', 'dist-lock:queue:{lock:a}'), 'in the queue')
  await lock.release()

  assert.equal(inVain.code, 75)
  assert.equal(inVain.stderr, 'dist-lock: a: still taken after 1 s\n')
  assert.equal(inVain.stdout, '')
  assert.deepEqual([(await waiting).code, (await waiting).stdout], [0, 'runs\n'])
})

test('what it ends with when the lock is taken can be chosen', async (t) => {
  await locks.acquire('a')

  const args = ['--wait', '0', '--conflict-exit-code', '0', 'a', '--', 'echo', 'runs']
  const { code, stdout } = await run(t, args)

  assert.deepEqual([code, stdout], [0, ''])
})

test('the lock is renewed for as long as the command runs', async (t) => {
  const running = run(t, [
    '--ttl',
    '1500ms',
    'a',
    '--',
    'sh',
    '-c',
    'echo runs; sleep 3; echo done',
  ])
  await running.said('runs')
  const holder = (await locks.getAcquiredLock('a')).id

  const seen = new Set()
  const looking = setInterval(async () => seen.add((await locks.getAcquiredLock('a'))?.id), 20)
  await running.said('done')
  clearInterval(looking)

  assert.deepEqual([...seen], [holder])
  assert.equal((await running).code, 0)
})

for (const [signal, code] of [
  ['SIGTERM', 15],
  ['SIGINT', 2],
  ['SIGHUP', 1],
]) {
  test(`${signal} is passed on, and the lock held until the command has ended`, async (t) => {
    const running = run(t, ['a', '--', 'sh', '-c', WORK])
    await running.said('runs')

    running.child.kill(signal)

    const outcome = await running
    assert.equal(outcome.code, code)
    assert.match(outcome.stdout, new RegExp(`got ${signal.slice(3)}`))
    assert.ok(await isFree('a'))
  })
}

test('a command that is killed gives 128 and the number of the signal', async (t) => {
  const { code } = await run(t, ['a', '--', 'sh', '-c', 'kill -KILL $$'])

  assert.equal(code, 137)
  assert.ok(await isFree('a'))
})

test('a signal while it waits ends it, and its place in the queue', async (t) => {
  const lock = await locks.acquire('a')
  const running = run(t, ['a', '--', 'echo', 'runs'])
  await eventually(() => redis.command('EXISTS', 'dist-lock:queue:{lock:a}'), 'in the queue')

  running.child.kill('SIGINT')

  const { code, stdout } = await running
  assert.deepEqual([code, stdout], [130, ''])
  await lock.release()
  assert.ok(await isFree('a'), 'nobody was granted it')
})

test('a command whose lock was deleted is asked to end, with an exit code of its own', async (t) => {
  const running = run(t, ['--ttl', '600ms', 'a', '--', 'sh', '-c', WORK])
  await running.said('runs')

  await redis.command('DEL', 'lock:a')

  const { code, stdout, stderr } = await running
  assert.equal(code, 79)
  assert.match(stdout, /got TERM/)
  assert.match(stderr, /^dist-lock: a: the lock is lost: .+; the command is stopped\n/)
})

test('a command that goes on after a signal keeps the lock; once that is lost, it is killed', async (t) => {
  const args = ['--ttl', '2s', '--kill-after', '1s', 'a', '--', 'sh', '-c', STUBBORN]
  const running = run(t, args)
  await running.said('runs')

  running.child.kill('SIGTERM')
  await running.said('got TERM')
  assert.ok(!(await isFree('a')))
  await redis.command('FLUSHALL')

  const { code, stdout } = await running
  assert.equal(code, 79)
  assert.match(stdout, /(got TERM\n){2}/)
  assert.doesNotMatch(stdout, /survived/)
})

test('when the lock is lost, what the command has started ends with it', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-cli-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  const file = path.join(directory, 'beats')
  const beat = LOOP.replace('do ', `do echo beat >> ${file}; `)
  const inner = `echo runs; ${beat}`
  const running = run(t, ['--ttl', '600ms', 'a', '--', 'sh', '-c', `sh -c '${inner}'; true`])
  await running.said('runs')

  await redis.command('DEL', 'lock:a')
  const [code] = await once(running.child, 'exit')

  const beats = () => fs.statSync(file).size
  const before = beats()
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(beats(), before)
  assert.equal(code, 79)
})

test('a command that Redis was away from for too long is stopped, without a network', async (t) => {
  const server = await startRedis(t)
  const args = ['--ttl', '400ms', '--url', server.url, 'a', '--', 'sh', '-c', WORK]
  const running = cli(t, ['run', ...args])
  await running.said('runs')

  await server.stop()

  const { code, stdout } = await running
  assert.equal(code, 79)
  assert.match(stdout, /got TERM/)
})

test('a command that holds the lock for longer than --max-hold is stopped', async (t) => {
  const args = ['--ttl', '1500ms', '--max-hold', '2s', 'a', '--', 'sh', '-c', WORK]

  const { code, stdout } = await run(t, args)

  assert.equal(code, 79)
  assert.match(stdout, /got TERM/)
})

test('a command that ended after its lock was gone is not passed off as guarded', async (t) => {
  const running = run(t, ['a', '--', 'sh', '-c', 'echo runs; read end'])
  await running.said('runs')

  await redis.command('DEL', 'lock:a')
  running.child.stdin.end('end\n')

  const { code, stderr } = await running
  assert.equal(code, 79)
  // It may just have been looked for when it was deleted.
  assert.match(
    stderr,
    /the lock (was gone before the command had ended|is lost: Redis does not know)/,
  )
})

test('a lock that cannot be released does not make the command a failure', async (t) => {
  const server = await startRedis(t)
  const args = [
    '--connect-timeout',
    '1500ms',
    '--url',
    server.url,
    'a',
    '--',
    'sh',
    '-c',
    'echo runs; read end',
  ]
  const running = cli(t, ['run', ...args])
  await running.said('runs')

  await server.stop()
  running.child.stdin.end('end\n')

  const { code, stderr } = await running
  assert.equal(code, 0)
  assert.match(stderr, /^dist-lock: a: not released, so it is free in 30 s: /)
})

test('a command that there is not gives 127, one that cannot be run 126, and the lock is free', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-cli-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  const file = path.join(directory, 'no-program')
  fs.writeFileSync(file, '', { mode: 0o600 })

  const missing = await run(t, ['a', '--', 'no-such-command-here'])
  const refused = await run(t, ['a', '--', file])

  assert.equal(missing.code, 127)
  assert.equal(missing.stderr, 'dist-lock: a: no-such-command-here: command not found\n')
  assert.equal(refused.code, 126)
  assert.ok(await isFree('a'))
})

test('without Redis the command does not run, and the password is not shown', async (t) => {
  const url = `redis://:hunter2@127.0.0.1:${await freePort()}`

  for (const json of [[], ['--json']]) {
    const args = [...json, '--connect-timeout', '100ms', '--url', url, 'a', '--', 'echo', 'runs']
    const { code, stdout, stderr } = await run(t, args)

    assert.equal(code, 69)
    assert.equal(stdout, '')
    assert.match(stderr, /cannot reach Redis/)
    assert.doesNotMatch(stderr, /hunter2/)
  }
})

test('a password may come in the environment, apart from the URL', async (t) => {
  const password = 'p/w%40:@ü'
  const server = await startRedis(t, { password })

  const right = await cli(t, ['run', 'a', '--', 'echo', 'runs'], {
    REDIS_URL: server.url,
    DIST_LOCK_PASSWORD: password,
  })
  const wrong = await cli(t, ['run', 'a', '--', 'echo', 'runs'], {
    REDIS_URL: `unix://${server.path}`,
    DIST_LOCK_PASSWORD: 'hunter2',
  })

  assert.deepEqual([right.code, right.stdout, right.stderr], [0, 'runs\n', ''])
  assert.equal(wrong.code, 69)
  assert.match(wrong.stderr, /WRONGPASS/)
  assert.doesNotMatch(wrong.stderr, /hunter2/)
})

test('of several servers a majority is enough, and one that is gone does not matter', async (t) => {
  const servers = await Promise.all([startRedis(t), startRedis(t), startRedis(t)])
  const url = servers.map((server) => server.url).join(' ')
  const holding = cli(t, ['run', 'a', '--', 'sh', '-c', 'echo runs; read end'], {
    DIST_LOCK_URL: url,
  })
  await holding.said('runs')
  await servers[0].stop()

  const urls = servers.flatMap((server) => ['--url', server.url])
  const { code, stderr } = await cli(t, ['run', '--wait', '0', ...urls, 'a', '--', 'echo', 'runs'])

  assert.equal(code, 75, stderr)
  holding.child.stdin.end('end\n')
  assert.equal((await holding).code, 0)
})

test('with --json each event is a line of JSON on stderr', async (t) => {
  const { stdout, stderr } = await run(t, ['--json', '--owner', 'ada', 'a', '--', 'echo', 'runs'])

  const events = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    events.map(({ event }) => event),
    ['acquired', 'started', 'ended', 'released'],
  )
  assert.equal(events[0].owner, 'ada')
  assert.ok(events[0].fencingToken > 0)
  assert.equal(stdout, 'runs\n')
})

test('what is wrong in the arguments is said, with 64, and nothing runs', async (t) => {
  const wrong = {
    'a COMMAND is missing': ['a'],
    'two resources': ['a', 'b', '--', 'true'],
    'no resource': ['--', 'true'],
    'no unit': ['--wait', '30', 'a', '--', 'true'],
    'a ttl without end': ['--ttl', 'forever', 'a', '--', 'true'],
    'no such option': ['--forever', 'a', '--', 'true'],
    'no number': ['--conflict-exit-code', '256', 'a', '--', 'true'],
    'no URL': ['--url', 'nonsense', 'a', '--', 'true'],
  }
  const outcomes = await Promise.all(
    Object.entries(wrong).map(async ([name, args]) => [name, await run(t, args)]),
  )

  for (const [name, { code, stderr }] of outcomes) {
    assert.equal(code, 64, `${name}: ${stderr}`)
    assert.match(stderr, /^dist-lock: .+\ndist-lock help run explains it\.\n$/, name)
  }
  assert.deepEqual(await redis.command('KEYS', '*'), [])
})
