'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')
const ts = require('typescript')
const { startRedis } = require('./redis.js')

const ROOT = path.join(__dirname, '../..')

/** Names that examples use and do not explain: whatever somebody does under a lock. */
const LEFT_OUT = {
  backup: 'async () => {}',
  charge: 'async () => {}',
  encode: 'async () => {}',
  makeReport: `async () => 'done'`,
  migrate: 'async () => {}',
  sendInvoice: 'async () => {}',
  step: 'async () => {}',
}

/**
 * Tests that every example of a page runs as it stands and prints what it says. `dist-lock` is this tree, what
 * an example leaves out is in `LEFT_OUT`, and each has a database of its own. A block that begins with
 * ```js no-run is only read: it needs what a test has not.
 */
function testExamples(page) {
  const starting = startRedis({ after }, { args: ['--databases', '100'] })
  const examples = [...read(page).matchAll(/```js( no-run)?\n(.*?)```/gs)]

  let redis
  let dir

  before(async () => {
    redis = await starting
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-page-'))
    fs.mkdirSync(path.join(dir, 'node_modules'))
    link('dist-lock', ROOT)
    for (const [name, alias] of Object.entries({ redis: 'redis-6', ioredis: 'ioredis-5' })) {
      link(name, path.join(ROOT, 'node_modules', alias))
    }
  })
  after(() => fs.rmSync(dir, { recursive: true, force: true }))

  describe(page, { concurrency: 2 }, () => {
    for (const [index, [, isRead, code]] of examples.entries()) {
      const first = code.trim().split('\n')[0]
      if (isRead) {
        test(`example ${index + 1} is JavaScript: ${first}`, () =>
          assert.deepEqual(faults(code), []))
        continue
      }
      test(`example ${index + 1} runs and prints what it says: ${first}`, async () => {
        const { code: exitCode, stdout, stderr } = await run(code, index)

        assert.equal(exitCode, 0, stderr)
        for (const text of announced(code)) {
          assert.ok(stdout.split('\n').includes(text), `${text}\nis not among\n${stdout}${stderr}`)
        }
      })
    }
  })

  function link(name, target) {
    fs.symlinkSync(target, path.join(dir, 'node_modules', name))
  }

  function run(code, index) {
    const file = path.join(dir, `example-${index}.js`)
    const program = `${given(code)}\nasync function main() {\n${code}\n}\nmain()`
    const server = `127.0.0.1:${redis.port}/${index}`
    fs.writeFileSync(file, runnable(program.replaceAll('localhost:6379', server)))
    return new Promise((resolve) => {
      const options = { timeout: 20000, env: { ...process.env, REDIS_URL: `redis://${server}` } }
      execFile(process.execPath, [file], options, (error, stdout, stderr) => {
        resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr })
      })
    })
  }
}

function read(page) {
  return fs.readFileSync(path.join(ROOT, page), 'utf8')
}

/** What an example uses and does not make. */
function given(code) {
  const uses = (name) => new RegExp(`\\b${name}\\b`).test(code)
  const makes = (name) => new RegExp(`(?:\\b${name} = |function ${name}\\b)`).test(code)
  const lines = Object.entries(LEFT_OUT)
    .filter(([name]) => uses(name) && !makes(name))
    .map(([name, value]) => `const ${name} = ${value}`)
  if (uses('distLock') && !makes('distLock')) lines.push(`const distLock = require('dist-lock')`)
  if (uses('locks') && !makes('locks')) {
    lines.push(`const locks = require('dist-lock')('redis://localhost:6379')`)
  }
  return lines.join('\n')
}

/** `await using`, which only newer Node reads, in the words of those before. */
function runnable(program) {
  if (!program.includes('await using')) return program
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS }
  return ts.transpileModule(program, { compilerOptions }).outputText
}

function faults(code) {
  const { diagnostics } = ts.transpileModule(`async function main() {\n${code}\n}`, {
    reportDiagnostics: true,
    fileName: 'example.js',
  })
  return diagnostics.map(({ messageText }) => messageText)
}

/** What an example says it prints: the comments after, or below, its `console.log`. */
function announced(code) {
  return [...code.matchAll(/console\.log\([^\n]*\)+\s*\/\/ ([^\n]*)/g)].map(([, text]) => text)
}

module.exports = { ROOT, read, testExamples }
