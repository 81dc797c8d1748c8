'use strict'

const assert = require('node:assert/strict')
const { execFile, execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { after, before, describe, test } = require('node:test')
const { platformName } = require('../lib/platform.js')
const { packAll, install, nodeBinary } = require('./support/packing.js')

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-package-'))
const project = path.join(directory, 'project')
const bare = path.join(directory, 'bare')
let packed

before(() => {
  packed = packAll(directory)
  install(project, packed.main.tarball, packed.addon.tarball)
  install(bare, packed.main.tarball)
  fs.cpSync(path.join(__dirname, 'package'), project, { recursive: true })
})

after(() => fs.rmSync(directory, { recursive: true, force: true }))

test('the package is the library, its types and its documents', () => {
  const outsideLib = packed.main.files.filter((file) => !/^lib\/.*\.js$/.test(file))
  assert.deepEqual(outsideLib, [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin/dist-lock.js',
    'diagnostics.d.ts',
    'index.d.ts',
    'index.js',
    'native.js',
    'package.json',
    'source.d.ts',
    'web-locks.d.ts',
  ])
})

test('the package can be run as a program', () => {
  const program = path.join(project, 'node_modules/.bin/dist-lock')
  assert.match(execFileSync(program, ['--version'], { encoding: 'utf8' }), /^\d+\.\d+\.\d+/)
})

test('the package for a platform is its addon', () => {
  const addon = `dist-lock.${platformName()}.node`
  assert.deepEqual(packed.addon.files, ['README.md', addon, 'package.json'])
})

for (const version of versions()) {
  describe(`the installed package on Node ${version}`, () => {
    let node

    before(() => {
      node = version === process.versions.node ? process.execPath : nodeBinary(version)
    })

    test('works from require', async () => {
      assert.equal(await run(node, 'require.cjs'), 'ada true function')
    })

    test('works from import', async () => {
      assert.equal(await run(node, 'import.mjs'), 'ada true function')
    })

    test('has a command line', async () => {
      const program = path.join('node_modules', 'dist-lock', 'bin', 'dist-lock.js')
      const memory = ['--url', 'memory:', 'a']
      const said = await run(node, program, 'run', ...memory, '--', node, '-p', '"runs"')
      assert.equal(said, 'runs')
    })

    test('works in a worker thread, which sees the locks of the main thread', async () => {
      assert.equal(await run(node, 'worker.cjs'), 'false worker')
    })
  })
}

test('the installed package works from TypeScript, as ESM and as CommonJS', async () => {
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc')
  const options = ['--strict', '--module', 'node16', '--target', 'es2022', '--types', 'node']
  const typeRoots = path.join(path.dirname(require.resolve('@types/node/package.json')), '..')

  await run(
    process.execPath,
    tsc,
    ...options,
    '--typeRoots',
    typeRoots,
    'program.mts',
    'program.cts',
  )

  assert.equal(await run(process.execPath, 'program.mjs'), 'ada true function')
  assert.equal(await run(process.execPath, 'program.cjs'), 'ada true function')
})

test('without an addon, the error says which package is missing', async () => {
  const error = await run(process.execPath, '-p', failure(bare))
  assert.match(error, /^MODULE_NOT_FOUND dist-lock found no native addon for/)
  assert.match(error, new RegExp(`npm install dist-lock-${platformName()}@\\d`))
  assert.match(error, /npm run build/)
})

test('on a platform without an addon, the error says which have one', async () => {
  const error = await run(
    process.execPath,
    '-p',
    failure(bare, `Object.defineProperty(process, 'arch', { value: 'mips' })`),
  )
  assert.match(error, /^MODULE_NOT_FOUND dist-lock has no prebuilt native addon for \w+-mips/)
  assert.match(error, /linux-x64-gnu, /)
})

test('with an addon that cannot be loaded, the error says why', async () => {
  const broken = path.join(directory, 'broken.node')
  fs.writeFileSync(broken, 'not an addon')
  const setting = `process.env.NAPI_RS_NATIVE_LIBRARY_PATH = ${JSON.stringify(broken)}`
  const error = await run(process.execPath, '-p', failure(bare, setting))
  assert.match(error, /^ERR_DLOPEN_FAILED dist-lock could not load its native addon for/)
  assert.match(error, /broken\.node/)
})

/** The supported releases; where npm has no programs of them for this platform, only this one. */
function versions() {
  if (platformName() !== 'linux-x64-gnu') return [process.versions.node]
  return ['18.20.8', '20.20.2', '22.23.3', '24.21.0', '26.10.0']
}

async function run(node, ...args) {
  const { stdout } = await promisify(execFile)(node, args, { cwd: project })
  return stdout.trim()
}

/** A program that prints how requiring the package in `directory` fails. */
function failure(directory, before = '') {
  const name = JSON.stringify(path.join(directory, 'node_modules/dist-lock'))
  return `${before}
    try { require(${name}); 'loaded' } catch (error) { error.code + ' ' + error.message }`
}
