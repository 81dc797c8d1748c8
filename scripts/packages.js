'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { say, fail, npm } = require('./progress.js')

const ROOT = path.join(__dirname, '..')

/** Installs what package-lock.json lists, unless just that is in node_modules. */
function installPackages(directory = ROOT) {
  if (isInstalled(directory)) return

  say('installing npm packages…')
  // `npm ci` refuses a lock file in which the optional packages of other platforms have no version.
  const install = directory === ROOT ? ['ci'] : ['install', '--no-save']
  const done = npm(
    ...[...install, '--prefix', directory, '--no-audit', '--no-fund', '--loglevel=error'],
    // The addon is built as a step of its own, where its progress can be seen.
    '--ignore-scripts',
  )
  if (!done) fail('npm ci failed, see above')
}

function isInstalled(directory) {
  const wanted = readPackages(path.join(directory, 'package-lock.json'))
  const present = readPackages(path.join(directory, 'node_modules', '.package-lock.json'))
  return Object.entries(wanted).every(
    ([name, { version, optional }]) =>
      name === '' || optional || present[name]?.version === version,
  )
}

function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

module.exports = { installPackages }
