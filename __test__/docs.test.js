'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { anchor } = require('../scripts/anchor.js')
const { apiPage } = require('../scripts/api.js')
const { ROOT, read, testExamples } = require('./support/pages.js')

const GUIDES = ['docs/guide.md', 'docs/upgrading.md']
const PAGES = [
  ...fs.readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...fs.readdirSync(path.join(ROOT, 'docs')).map((name) => `docs/${name}`),
].sort()

for (const page of GUIDES) testExamples(page)

test('docs/api.md is what `npm run docs` makes of the declarations', async () => {
  const isCurrent = read('docs/api.md') === (await apiPage())
  assert.ok(isCurrent, 'the declarations have changed: `npm run docs`')
})

describe('every link leads to a file that is there, and to a heading in it', () => {
  for (const page of PAGES) {
    test(page, () =>
      assert.deepEqual(
        links(page).filter((link) => !leadsSomewhere(page, link)),
        [],
      ),
    )
  }
})

test('every test that docs/promises.md names is there', () => {
  const named = [...read('docs/promises.md').matchAll(/^- \[(.+)\]\(\.\.\/(.+)\)$/gm)]
  assert.ok(named.length > 30)

  const missing = named.filter(([, name, file]) => !testsOf(file).includes(plain(name)))
  assert.deepEqual(
    missing.map(([line]) => line),
    [],
  )
})

/** The targets of the links of a page that lead to files of ours. */
function links(page) {
  const text = read(page).replaceAll(/```.*?```|`[^`\n]*`/gs, '``')
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
  return targets.filter((target) => !/^https?:/.test(target))
}

function leadsSomewhere(page, link) {
  const [file, heading] = link.split('#')
  const target = file ? path.join(path.dirname(page), file) : page
  if (!fs.existsSync(path.join(ROOT, target))) return false
  return heading === undefined || anchors(target).includes(heading)
}

function anchors(page) {
  const text = read(page).replaceAll(/```.*?```/gs, '')
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    anchor(heading.replaceAll('\\', '')),
  )
}

/** The names of the tests of a file as sentences, whatever the language. */
function testsOf(file) {
  const text = read(file)
  const rust = [...text.matchAll(/\bfn (\w+)\(/g)].map(([, name]) => name.replaceAll('_', ' '))
  const javascript = [...text.matchAll(/\btest\(\s*(['`])(.+?)\1,/gs)].map(([, , name]) =>
    plain(name),
  )
  return [...rust, ...javascript]
}

/** A name without what is written differently in a page. */
function plain(name) {
  return name.replaceAll(/[`\\]/g, '').replaceAll(/\$\{[^}]*\}/g, '…')
}
