'use strict'

const { accessSync, constants } = require('node:fs')
const path = require('node:path')
const { say, fail, quietly } = require('./progress.js')

/** Installs the programs that the tests start, where they are missing and apt-get may be used. */
function installPrograms() {
  const missing = []
  if (!hasRedis()) missing.push('redis-server')
  if (!isOnPath('openssl')) missing.push('openssl')
  if (missing.length === 0) return

  const names = missing.join(' and ')
  const admin = administrator()
  if (!isOnPath('apt-get') || !admin) fail(`${names} not found: install and put on the PATH`)

  say(`installing ${names} with apt-get…`)
  const aptGet = (...args) => run([...admin, 'env', ...QUIET, 'apt-get', ...args])
  // An update that fails may still leave lists that are good enough.
  aptGet('update')
  if (!aptGet('install', '-y', '--no-install-recommends', ...missing)) {
    fail(`apt-get could not install ${names}, see above`)
  }
}

/** RUNLEVEL=1 keeps the package from starting a server on port 6379. */
const QUIET = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']

function hasRedis() {
  const named = process.env.REDIS_SERVER
  return named ? isOnPath(named) : isOnPath('redis-server') || isOnPath('valkey-server')
}

/** What goes before a command that needs root; undefined where we cannot become root unasked. */
function administrator() {
  if (process.getuid?.() === 0) return []
  if (isOnPath('sudo') && run(['sudo', '-n', 'true'])) return ['sudo', '-n']
}

function run([command, ...args]) {
  return quietly(command, args)
}

function isOnPath(program) {
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd'] : ['']
  return process.env.PATH.split(path.delimiter).some((dir) =>
    suffixes.some((suffix) => isExecutable(path.resolve(dir, program + suffix))),
  )
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

module.exports = { installPrograms, isOnPath }
