'use strict'

// Prepares a fresh machine, where only Node and Rust are, for `npm run demo`, `npm test` and
// `npm run bench`. Does nothing, quickly, where everything is there.

const { installPackages } = require('./packages.js')
const { installPrograms } = require('./programs.js')
const { buildAddon } = require('./addon.js')

const isDemo = process.env.npm_lifecycle_event === 'demo'

installPackages()
// The demo can be shown a server, or run without any.
if (!isDemo || !process.env.REDIS_URL) installPrograms()
buildAddon()
