'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')

const TYPES = path.join(__dirname, 'types')

for (const compiler of ['typescript', 'typescript-7']) {
  describe(`TypeScript ${version(compiler)}`, () => {
    test('compiles what is right and nothing that is wrong, from ESM and CommonJS', async () => {
      assert.equal(await compile(compiler, 'tsconfig.json'), '')
      assert.equal(await compile(compiler, 'tsconfig.json', '--module', 'node16'), '')
    })

    test('does so for a bundler', async () => {
      assert.equal(await compile(compiler, 'tsconfig.bundler.json'), '')
    })

    test('needs no types of Node or the browser', async () => {
      assert.equal(await compile(compiler, 'tsconfig.bare.json'), '')
    })

    test('accepts the clients as they declare themselves', async () => {
      assert.equal(await compile(compiler, 'tsconfig.clients.json'), '')
    })

    test('compiles the examples in the declarations', async () => {
      assert.equal(await compile(compiler, path.join(EXAMPLES, 'tsconfig.json')), '')
    })
  })
}

const EXAMPLES = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-examples-'))

before(() => {
  const files = examples().map((code, index) => {
    const file = path.join(EXAMPLES, `example-${index}.mts`)
    fs.writeFileSync(file, `${surroundings(code)}\n${code}`)
    return file
  })
  const config = {
    extends: path.join(TYPES, 'tsconfig.json'),
    compilerOptions: { typeRoots: [path.dirname(packageDirectory('@types/node'))] },
    files,
  }
  fs.writeFileSync(path.join(EXAMPLES, 'tsconfig.json'), JSON.stringify(config))
})

after(() => fs.rmSync(EXAMPLES, { recursive: true, force: true }))

function examples() {
  const manual = ['index.d.ts', 'web-locks.d.ts']
    .map((file) => fs.readFileSync(path.join(__dirname, '..', file), 'utf8'))
    .join('\n')
  const blocks = [...manual.matchAll(/```js\n(.*?)```/gs)]
  assert.ok(blocks.length > 5)
  return blocks.map(([, code]) => code.replace(/^ *\* ?/gm, ''))
}

/** The names an example uses without saying where they are from. */
function surroundings(code) {
  const lines = [`import distLock, { LockError, type Lock } from 'dist-lock'`]
  const declarations = {
    locks: 'distLock.DistLock',
    lock: 'Lock',
    id: 'string',
    url: 'string',
    createClient: '() => distLock.Client',
    makeReport: '(how: object) => Promise<number>',
    stop: '() => void',
  }
  for (const [name, type] of Object.entries(declarations)) {
    const isOwn = new RegExp(`const ${name} =`).test(code)
    if (!isOwn) lines.push(`declare const ${name}: ${type}`)
  }
  return lines.join('\n')
}

/** What the compiler complains of: nothing, if all is well. */
function compile(compiler, project, ...options) {
  const tsc = path.join(packageDirectory(compiler), 'bin/tsc')
  const args = [tsc, '--pretty', 'false', '-p', path.resolve(TYPES, project), ...options]
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => {
      resolve(stdout + stderr || error?.message || '')
    })
  })
}

function version(compiler) {
  return require(`${compiler}/package.json`).version
}

function packageDirectory(name) {
  return path.dirname(require.resolve(`${name}/package.json`))
}
