'use strict'

// npm runs this after `npm install` in a clone and for `npm install git+…`, where no package with a
// prebuilt addon comes along: the addon is built, if Rust is there. Silent where it is not, and
// while publishing, which ships addons that were built and tested before.

const fs = require('node:fs')
const { platformName } = require('../lib/platform.js')
const { ADDON, buildAddon } = require('./addon.js')
const { isOnPath } = require('./programs.js')

const publishing = ['publish', 'pack'].includes(process.env.npm_command)

if (!publishing && !hasAddon() && canBuild()) buildAddon()

function hasAddon() {
  return fs.existsSync(ADDON) || resolves(`dist-lock-${platformName()}`)
}

function canBuild() {
  return isOnPath('cargo') && resolves('@napi-rs/cli')
}

function resolves(name) {
  try {
    require.resolve(name)
    return true
  } catch {
    return false
  }
}
