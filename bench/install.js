'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { say, fail, npm } = require('../scripts/progress.js')

const INSTALLED = path.join(__dirname, 'node_modules', '.package-lock.json')

/** Installs what this directory's package-lock.json lists, unless it is newer than that. */
function installContenders() {
  if (isInstalled()) return

  say('installing what to compare with…')
  const done = npm(
    ...['ci', '--prefix', __dirname, '--ignore-scripts'],
    ...['--no-audit', '--no-fund', '--loglevel=error'],
  )
  if (!done) fail('npm ci failed, see above')
}

function isInstalled() {
  const listed = fs.statSync(path.join(__dirname, 'package-lock.json'))
  const installed = fs.statSync(INSTALLED, { throwIfNoEntry: false })
  return installed !== undefined && installed.mtimeMs >= listed.mtimeMs
}

module.exports = { installContenders }
