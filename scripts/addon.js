'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { platformName } = require('../lib/platform.js')
const { isOnPath } = require('./programs.js')
const { say, fail, npm } = require('./progress.js')

const ROOT = path.join(__dirname, '..')
const ADDON = path.join(ROOT, `dist-lock.${platformName()}.node`)
const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src']

/** Builds the addon in release mode, unless one is there that is newer than its sources. */
function buildAddon() {
  if (isBuilt()) return
  if (!isOnPath('cargo')) fail('cargo is not there; install Rust from https://rustup.rs')

  say('building the addon (the first time takes some minutes)…')
  const started = Date.now()
  if (!npm('run', 'build')) fail('the build failed, see above')

  // So that it counts as new even if cargo found nothing to do.
  fs.utimesSync(ADDON, new Date(), new Date())
  say(`built in ${Math.round((Date.now() - started) / 1000)} s`)
}

function isBuilt() {
  return fs.existsSync(ADDON) && fs.statSync(ADDON).mtimeMs >= newest(SOURCES)
}

function newest(names) {
  return Math.max(...names.map((name) => changedAt(path.join(ROOT, name))))
}

function changedAt(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false })
  if (!stat) return 0
  if (!stat.isDirectory()) return stat.mtimeMs
  // Its own time tells that a file was removed.
  const entries = fs.readdirSync(file).map((name) => changedAt(path.join(file, name)))
  return Math.max(stat.mtimeMs, ...entries)
}

module.exports = { ADDON, buildAddon }
