'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const option = require('../lib/options.js')

test('a manager whose option of the connection was changed is told from what it was, whichever it is', () => {
  const before = option.ofConnection({})
  assert.equal(option.isSameConnection({}, before), true)

  for (const [name, value] of Object.entries(before)) {
    assert.equal(option.isSameConnection({ [name]: value }, before), true, name)
    assert.equal(option.isSameConnection({ [name]: value + 1 }, before), false, name)
    assert.equal(option.isSameConnection({}, { ...before, [name]: value + 1 }), false, name)
  }
})
