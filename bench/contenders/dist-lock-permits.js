'use strict'

const { sharing } = require('./sharing.js')

module.exports = sharing('permits: 10', { permits: 10 })
