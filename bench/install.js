'use strict'

const path = require('node:path')
const { installPackages } = require('../scripts/packages.js')
const { fail, quietly } = require('../scripts/progress.js')

/** Installs what to compare with, as this directory's package-lock.json lists it. */
function installContenders() {
  installPackages(__dirname)
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
