'use strict'

const { sharing } = require('./sharing.js')

module.exports = sharing("mode: 'shared'", { mode: 'shared' })
