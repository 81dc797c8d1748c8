'use strict'

const { testExamples } = require('./support/pages.js')

testExamples('README.md')
