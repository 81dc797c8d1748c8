'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { say, fail, npm } = require('./progress.js')

const ROOT = path.join(__dirname, '..')

/** Installs what package-lock.json lists, unless just that is in node_modules. */
function installPackages() {
  if (isInstalled()) return

  say('installing npm packages…')
  // Scripts off: the addon is built as a step of its own, where its progress can be seen.
  if (!npm('ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error')) {
    fail('npm ci failed, see above')
  }
}

function isInstalled() {
  const wanted = readPackages('package-lock.json')
  const present = readPackages('node_modules/.package-lock.json')
  return Object.entries(wanted).every(
    ([name, { version, optional }]) =>
      name === '' || optional || present[name]?.version === version,
  )
}

function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(ROOT, file), 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

module.exports = { installPackages }
