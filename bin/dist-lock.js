#!/usr/bin/env node
'use strict'

const { main } = require('../lib/cli/main.js')

main(process.argv.slice(2)).then((code) => {
  // What is left (a connection that is being opened, say) is not waited for.
  process.exitCode = code
  setImmediate(() => process.exit())
})
