'use strict'

const { spawnSync } = require('node:child_process')

/** Says one line of what setup is doing. */
function say(line) {
  console.log(`setup: ${line}`)
}

/** Ends setup: nothing that comes after it could work. */
function fail(line) {
  console.error(`setup: ${line}`)
  process.exit(1)
}

/**
 * Runs a program without showing its output, unless it fails.
 *
 * @returns {boolean} whether it succeeded
 */
function quietly(command, args, options = {}) {
  const { status, error, output } = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: Infinity,
    ...options,
  })
  if (status === 0) return true

  process.stderr.write(error ? `${error.message}\n` : Buffer.concat(output.slice(1)))
  return false
}

/** `npm …`, by the npm that runs this script where there is one. */
function npm(...args) {
  const program = process.env.npm_execpath ?? ''
  if (program.endsWith('npm-cli.js')) return quietly(process.execPath, [program, ...args])
  // On Windows npm is a batch file, which only a shell can run.
  return quietly('npm', args, { shell: process.platform === 'win32' })
}

module.exports = { say, fail, quietly, npm }
