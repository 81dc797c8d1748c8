'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')

const { startRedis } = require('./support/redis.js')

/**
 * Every example of the README runs as it stands: `dist-lock` is this tree, `redis` its newest
 * client, and what an example leaves out (`locks`, `sendInvoice`) is what the one before made.
 */

const root = path.join(__dirname, '..')
const examples = [
  ...fs.readFileSync(path.join(root, 'README.md'), 'utf8').matchAll(/```js\n(.*?)```/gs),
]
const starting = startRedis({ after })

let redis
let dir

before(async () => {
  redis = await starting
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-readme-'))
  fs.mkdirSync(path.join(dir, 'node_modules'))
  fs.symlinkSync(root, path.join(dir, 'node_modules', 'dist-lock'))
  fs.symlinkSync(
    path.join(root, 'node_modules', 'redis-6'),
    path.join(dir, 'node_modules', 'redis'),
  )
})
after(() => fs.rmSync(dir, { recursive: true, force: true }))

function run(code) {
  const defines = /\blocks = /.test(code) || !/\blocks\b/.test(code)
  const given = defines ? '' : `const locks = require('dist-lock')('redis://localhost:6379')\n`
  const program = `const sendInvoice = async () => {}\n(async () => {\n${given}${code}\n})()`
  const file = path.join(dir, 'example.js')
  fs.writeFileSync(file, program.replaceAll('localhost:6379', `127.0.0.1:${redis.port}`))
  return spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 20000 })
}

/** What an example says it prints: the comments after, or below, its `console.log`. */
function announced(code) {
  return [...code.matchAll(/console\.log\([^\n]*\)+\s*\/\/ ([^\n]*)/g)].map(([, text]) => text)
}

describe('the README', { concurrency: false }, () => {
  test('has examples', () => assert.ok(examples.length >= 5))

  for (const [index, [, code]] of examples.entries()) {
    test(`example ${index + 1} runs and prints what it says: ${code.trim().split('\n')[0]}`, () => {
      const { status, stdout, stderr } = run(code)

      assert.equal(status, 0, stderr)
      for (const text of announced(code)) assert.match(stdout, new RegExp(`^${text}$`, 'm'))
    })
  }
})
