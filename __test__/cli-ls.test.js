'use strict'

// `dist-lock ls`, `show`, `watch` and `release`: what people see of the locks, and do to them.

const assert = require('node:assert/strict')
const { execFile, spawnSync } = require('node:child_process')
const path = require('node:path')
const { after, before, beforeEach, test } = require('node:test')
const { promisify } = require('node:util')
const distLock = require('..')
const { changes } = require('../lib/cli/changes.js')
const { matches } = require('../lib/cli/pattern.js')
const { cli } = require('./support/cli.js')
const { eventually } = require('./support/outcome.js')
const { startRedis } = require('./support/redis.js')

let redis
let locks
const starting = startRedis({ after })
before(async () => {
  redis = await starting
  locks = distLock(redis.url)
})
beforeEach(() => redis.command('FLUSHALL'))

const ask = (t, ...args) => cli(t, args, { DIST_LOCK_URL: redis.url })

test('ls lists the locks by name, with what a holder has and how many wait', async (t) => {
  await locks.acquire('zoo', { owner: 'ada', ttl: 60000 })
  const lock = await locks.acquire('ant', { owner: 'bob', ttl: 60000 })
  const waiting = ['cy', 'di'].map((owner) =>
    locks.acquire('ant', owner).then((next) => next.release()),
  )
  await eventually(async () => (await locks.query()).pending.length === 2, 'both wait')
  const { code, stdout } = await ask(t, 'ls')

  const [head, ant, zoo] = stdout.split('\n').map((line) => line.split(/ {2,}/))
  assert.deepEqual(head, ['RESOURCE', 'MODE', 'OWNER', 'TOKEN', 'ENDS IN', 'WAITING'])
  assert.deepEqual(ant.slice(0, 4), ['ant', 'exclusive', 'bob', String(lock.fencingToken)])
  assert.match(ant[4], /^(5\d(\.\d)? s|1 m)$/)
  assert.equal(ant[5], '2')
  assert.deepEqual([zoo[0], zoo[2], zoo[5]], ['zoo', 'ada', '0'])
  assert.equal(code, 0)
  await lock.release()
  await Promise.all(waiting)
})

test('a pattern says which locks, and with --json they come as locks.query() has them', async (t) => {
  for (const name of ['deploy:a', 'deploy:b', 'report']) await locks.acquire(name)

  const { stdout } = await ask(t, 'ls', '--json', 'deploy:*')

  const { held, pending } = JSON.parse(stdout)
  assert.deepEqual(held.map(({ name }) => name).sort(), ['deploy:a', 'deploy:b'])
  assert.deepEqual(pending, [])
  assert.ok(held[0].fencingToken > 0 && held[0].remaining > 0)
  assert.ok(!('id' in held[0]))
})

test('a pattern is a pattern for the whole name and nothing else is special in it', () => {
  const cases = [
    ['a*', ['a', 'ab', 'a\nb'], ['ba']],
    ['a?c', ['abc', 'a🔒c'], ['ac', 'abbc']],
    ['a.c', ['a.c'], ['abc']],
    ['[a]+(b)\\|^$', ['[a]+(b)\\|^$'], ['ab']],
    ['*', ['', 'anything'], []],
  ]

  for (const [pattern, yes, no] of cases) {
    for (const name of yes) assert.ok(matches(pattern)(name), `${pattern} ${name}`)
    for (const name of no) assert.ok(!matches(pattern)(name), `${pattern} ${name}`)
  }
  assert.ok(matches()('anything'))
})

test('show tells the holder and the waiters in order, or with 1 that there are none', async (t) => {
  const lock = await locks.acquire('a', 'ada')
  const second = locks.acquire('a', 'bob')
  await eventually(async () => (await locks.query()).pending.length === 1, 'bob waits')
  const third = locks.acquire('a', 'cy')
  await eventually(async () => (await locks.query()).pending.length === 2, 'cy waits')

  const [people, json, none] = await Promise.all([
    ask(t, 'show', 'a'),
    ask(t, 'show', '--json', 'a'),
    ask(t, 'show', 'another'),
  ])

  assert.equal(people.code, 0)
  const places = ['ada', 'bob', 'cy'].map((owner) => people.stdout.indexOf(owner))
  assert.deepEqual(
    [...places].sort((a, b) => a - b),
    places,
  )
  assert.ok(places[0] > 0, people.stdout)
  const { held, pending } = JSON.parse(json.stdout)
  assert.deepEqual([held[0].owner, held[0].fencingToken], ['ada', lock.fencingToken])
  assert.deepEqual(
    pending.map(({ owner, position }) => [owner, position]),
    [
      ['bob', 1],
      ['cy', 2],
    ],
  )
  assert.equal(none.code, 1)
  assert.match(none.stdout, /Nobody holds it\./)
  await lock.release()
  await (await second).release()
  await (await third).release()
})

test('release takes a lock away, and the next one has it', async (t) => {
  const lock = await locks.acquire('a', 'ada')
  const waiting = locks.acquire('a', 'bob')
  await eventually(async () => (await locks.query()).pending.length === 1, 'bob waits')

  const { code, stdout } = await ask(t, 'release', 'a')

  assert.deepEqual([code, stdout], [0, 'released a, which ada held\n'])
  assert.equal((await waiting).owner, 'bob')
  assert.equal(await lock.release(), false)
  await (await waiting).release()
})

test('release with a token frees that holder only, and says what it did', async (t) => {
  const lock = await locks.acquire('a', 'ada')

  const wrong = await ask(t, 'release', '--token', '1', 'a')
  assert.equal(wrong.code, 1)
  assert.match(wrong.stdout, new RegExp(`another token: ${lock.fencingToken}`))
  assert.equal(lock.state, 'held')
  const right = await ask(t, 'release', '--json', '--token', String(lock.fencingToken), 'a')
  const nobody = await ask(t, 'release', 'a')

  const { released, owner } = JSON.parse(right.stdout)
  assert.deepEqual([right.code, released, owner], [0, true, 'ada'])
  assert.deepEqual([nobody.code, nobody.stdout], [1, 'nobody holds a\n'])
})

test('release frees a lock that is shared from all who share it', async (t) => {
  for (const owner of ['ada', 'bob']) await locks.acquire('a', { owner, mode: 'shared' })

  const { code } = await ask(t, 'release', 'a')

  assert.equal(code, 0)
  assert.deepEqual((await locks.query()).held, [])
})

test('run shares a lock with --shared, and with --permits as many run as there are', async (t) => {
  const run = (...args) =>
    ask(t, 'run', '--wait', '0', ...args, '--', 'sh', '-c', 'echo runs; read end')
  const shared = [run('--shared', 'a'), run('--shared', 'a')]
  const some = [run('--permits', '2', 'b'), run('--permits', '2', 'b')]
  const all = [...shared, ...some]
  await Promise.all(all.map((running) => running.said('runs')))

  const outcomes = await Promise.all([run('a'), run('--permits', '2', 'b')])

  assert.deepEqual(
    outcomes.map(({ code }) => code),
    [75, 75],
  )
  for (const { child } of all) child.stdin.end('end\n')
  for (const running of all) assert.equal((await running).code, 0)
})

test('watch tells what happens as it happens, a line of JSON each', async (t) => {
  const watching = ask(t, 'watch', '--json', '--interval', '20ms', 'a*')
  await locks.acquire('another')
  await locks.acquire('beside')
  await watching.said('another')
  const lock = await locks.acquire('a', 'ada')
  await watching.said(/"held","name":"a"/)
  const waiting = locks.acquire('a', 'bob')
  await watching.said(/"waiting","name":"a","waiting":1/)
  await lock.release()
  await watching.said(/"freed","name":"a","owner":"ada"/)
  await watching.said(/"held","name":"a","owner":"bob"/)

  watching.child.kill('SIGINT')
  const { code, stdout, stderr } = await watching

  assert.deepEqual([code, stderr], [0, ''])
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.ok(events.every(({ at, name }) => Date.parse(at) > 0 && name !== 'beside'))
  const held = events.filter(({ event, name }) => event === 'held' && name === 'a')
  assert.ok(held[1].fencingToken > held[0].fencingToken)
  await (await waiting).release()
})

test('changes are told once, and a hand-off is the end of one hold and the beginning of another', () => {
  const lock = (owner, fencingToken) => ({ name: 'a', clientId: 'c', owner, fencingToken })
  const one = { held: [lock('ada', 1)], pending: [{ name: 'a' }, { name: 'a' }] }
  const two = { held: [lock('bob', 2)], pending: [{ name: 'a' }] }

  assert.deepEqual(changes(one, one), [])
  assert.deepEqual(
    changes(one, two).map(({ event, owner, waiting }) => [event, owner ?? waiting]),
    [
      ['freed', 'ada'],
      ['held', 'bob'],
      ['waiting', 1],
    ],
  )
})

test('watch ends after --count looks, and prints for people where there is no terminal', async (t) => {
  await locks.acquire('a', 'ada')

  const { code, stdout } = await ask(t, 'watch', '--count', '2', '--interval', '10ms')

  assert.equal(code, 0)
  assert.match(stdout, /^\d{4}-.+Z {2}held +a +by ada, token \d+\n$/)
})

test('on a terminal there are colours, but not with NO_COLOR, and watch redraws', async (t) => {
  if (spawnSync('script', ['-V']).status !== 0) return t.skip('there is no script(1) here')
  await locks.acquire('a', 'ada')
  const program = path.join(__dirname, '../bin/dist-lock.js')
  const onTerminal = async (args, env) => {
    const command = `'${process.execPath}' '${program}' ${args}`
    const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '', DIST_LOCK_URL: redis.url, ...env },
    })
    return stdout
  }

  const [coloured, plain, watched] = await Promise.all([
    onTerminal('ls'),
    onTerminal('ls', { NO_COLOR: '1' }),
    onTerminal('watch --count 2 --interval 50ms'),
  ])

  assert.ok(coloured.includes('\x1b[1mRESOURCE'), coloured)
  assert.ok(!plain.includes('\x1b'), plain)
  assert.equal(watched.split('\x1b[H').length - 1, 3, 'once to clear, and two looks')
  assert.ok(watched.endsWith('\x1b[?25h'), 'the cursor is there again')
})

test('what somebody put into a name cannot command the terminal', async (t) => {
  await locks.acquire('a\x1b[2J', 'ada\r')

  const { stdout } = await ask(t, 'ls')

  assert.ok(!stdout.includes('\x1b') && !stdout.includes('\r'))
  assert.match(stdout, /a�\[2J .+ ada� /)
})
