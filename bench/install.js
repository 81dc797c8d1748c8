'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { say, fail, quietly, npm } = require('../scripts/progress.js')

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

/** Builds `bare/`, where that is not done already. */
function buildBare() {
  const target = path.join(__dirname, '..', 'target', 'bare')
  const done = quietly('cargo', [
    ...['build', '--release', '--locked'],
    ...['--manifest-path', path.join(__dirname, 'bare', 'Cargo.toml'), '--target-dir', target],
  ])
  if (!done) fail('cargo build failed, see above')
}

module.exports = { installContenders, buildBare }
