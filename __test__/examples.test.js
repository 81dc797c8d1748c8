'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { freePort, startRedis } = require('./support/redis.js')

const EXAMPLES = path.join(__dirname, '../examples')

/** Starts an example; `ended()` resolves with its exit code and all that it printed. */
function start(args, env) {
  const [file, ...rest] = args
  const child = spawn(process.execPath, [path.join(EXAMPLES, file), ...rest], {
    env: { ...process.env, REDIS_URL: '', ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  const closed = once(child, 'close')
  const ended = async () => ({ code: (await closed)[0], output })
  return { child, ended, output: () => output }
}

function run(args, env) {
  return start(args, env).ended()
}

/** Both results of the demo: how many increments there were, and what was counted. */
function results(output) {
  const lines = output.matchAll(/ ([\d,]+) increments, .* says ([\d,]+): (.+)\.$/gm)
  const number = (text) => Number(text.replaceAll(',', ''))
  return [...lines].map(([, made, counted, fate]) => ({
    made: number(made),
    counted: number(counted),
    fate,
  }))
}

async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('the quickstart runs without a server', async () => {
  const { code, output } = await run(['quickstart.js'])

  assert.match(output, /^quickstart holds lock:invoice:42: .+\nReleased\.\n$/)
  assert.equal(code, 0)
})

test('the quickstart runs on Redis and leaves nothing there', async (t) => {
  const redis = await startRedis(t)

  const { code, output } = await run(['quickstart.js'], { REDIS_URL: redis.url })

  assert.match(output, /Released/)
  assert.equal(code, 0)
  assert.equal(await redis.command('EXISTS', 'lock:invoice:42'), 0)
})

test('the example for OpenTelemetry makes a span of every wait and hold, and metrics', async () => {
  const { code, output } = await run(['opentelemetry.js'])

  assert.equal(code, 0, output)
  const lines = output.trim().split('\n')
  const spans = lines.filter((line) => line.endsWith(' ms')).map((line) => line.split(/ +/))
  assert.deepEqual(spans.map(([name, owner, outcome]) => `${name} ${owner} ${outcome}`).sort(), [
    'lock.acquire ada granted',
    'lock.acquire bob granted',
    'lock.acquire eve taken',
    'lock.hold ada released',
    'lock.hold bob lost',
  ])
  const [, , , milliseconds] = spans.find(
    ([name, owner]) => name === 'lock.hold' && owner === 'ada',
  )
  assert.ok(Number(milliseconds) >= 49, output)
  const metrics = lines.filter((line) => !line.endsWith(' ms')).map((line) => line.split(/ +/))
  assert.deepEqual(metrics, [
    ['lock.wait', '2'],
    ['lock.hold', '1'],
    ['lock.lost', '1'],
    ['lock.waiting', '0'],
    ['lock.held', '0'],
  ])
})

test('the demo loses updates without a lock and none with it, on a server of its own', async () => {
  const { code, output } = await run(['demo.js', '--short'])

  const [without, guarded] = results(output)
  assert.match(output, /a private (redis|valkey)-server/)
  assert.ok(without.counted < without.made, output)
  assert.ok(guarded.made > 10, output)
  assert.deepEqual(guarded, {
    made: guarded.made,
    counted: guarded.made,
    fate: 'not one is lost',
  })
  for (const name of ['v3-1', 'v3-2', 'v3-3', 'v2-1', 'v2-2', 'v2-3']) {
    assert.match(output, new RegExp(`${name}  █+ +[\\d,]+, longest wait \\d+ ms`))
  }
  assert.equal(code, 0)
})

test('the demo runs on the Redis at REDIS_URL and removes its keys', async (t) => {
  const redis = await startRedis(t)

  const { code, output } = await run(['demo.js', '--short'], { REDIS_URL: redis.url })

  assert.ok(output.includes(`Redis at 127.0.0.1:${redis.port}`), output)
  assert.equal(results(output)[1].fate, 'not one is lost')
  assert.equal(code, 0)
  assert.deepEqual(await ownKeys(redis), [])
})

test('the demo runs without a server, and says so', async () => {
  const { code, output } = await run(['demo.js', '--short'], { REDIS_URL: 'memory:' })

  const [without, guarded] = results(output)
  assert.match(output, /Without Redis \(as REDIS_URL says\)/)
  assert.ok(without.counted < without.made, output)
  assert.equal(guarded.fate, 'not one is lost')
  assert.equal(code, 0)
})

test('the demo runs in memory where there is no redis-server', async (t) => {
  const empty = temporaryDirectory(t)

  const running = start(['demo.js', '--short'], { PATH: empty, REDIS_SERVER: '' })
  await until(() => running.output().includes('there is no redis-server'))
  running.child.kill()

  assert.match((await running.ended()).output, /Six threads/)
})

test('the demo fails when an update is lost', async (t) => {
  const broken = path.join(temporaryDirectory(t), 'broken.js')
  const guards = path.join(EXAMPLES, 'demo/guards.js')
  fs.writeFileSync(
    broken,
    `const { guards } = require(${JSON.stringify(guards)}); guards.version3 = guards.nothing`,
  )

  const { code, output } = await run(['demo.js', '--short'], {
    NODE_OPTIONS: `--require=${broken}`,
  })

  assert.match(results(output)[1].fate, /are lost/)
  assert.equal(code, 1)
})

test('the demo says when it cannot reach Redis', async () => {
  const { code, output } = await run(['demo.js'], {
    REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
  })

  assert.match(output, /^\nThe demo failed: .+ECONNREFUSED.+\n$/)
  assert.equal(code, 1)
})

test('an interrupted demo leaves no key and no process behind', async (t) => {
  const redis = await startRedis(t)
  const running = start(['demo.js'], { REDIS_URL: redis.url })
  await until(() => running.output().includes('after 1 s'))
  assert.notDeepEqual(await ownKeys(redis), [])

  running.child.kill('SIGINT')
  const { code, output } = await running.ended()

  assert.match(output, /Interrupted\.\n$/)
  assert.equal(code, 130)
  assert.deepEqual(await ownKeys(redis), [])
  // Soon the only connection there is the one that asks.
  await until(async () => (await redis.command('CLIENT', 'LIST')).trim().split('\n').length === 1)
})

function ownKeys(redis) {
  return redis.command('KEYS', 'dist-lock-demo:*')
}

function temporaryDirectory(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-examples-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}
