'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { OURS, ORIGINAL, PEERS } = require('../contenders/index.js')
const { summarize } = require('../summary.js')
const { WORKLOADS } = require('../workloads/index.js')
const { markdownTable } = require('./table.js')

const README = path.join(__dirname, '..', '..', 'README.md')

/** What the README shows stands between these. */
const BEGIN = '<!-- measured: written by `npm run bench` -->\n'
const END = '<!-- /measured -->'

const count = (number) => number.toLocaleString('en', { maximumSignificantDigits: 3 })

/** The few figures that matter most. */
const LINES = [
  {
    says: '1000 free locks in flight, locks/s',
    ...{ workload: 'free', size: 1000, figure: 'rate', isBetter: 'more', format: count },
  },
  {
    says: '… JavaScript thread per lock, µs',
    ...{ workload: 'free', size: 1000, figure: 'threadCpu', isBetter: 'less', format: count },
  },
  {
    says: '1 in flight, p50, µs',
    ...{ workload: 'free', size: 1, figure: 'p50', isBetter: 'less' },
    format: (milliseconds) => count(milliseconds * 1000),
  },
  {
    says: '8 processes on one key: longest wait, in fair turns',
    ...{ workload: 'processes', size: 8, figure: 'longestWait', isBetter: 'less', format: count },
  },
  {
    says: '1000 idle waiters, commands/s',
    ...{ workload: 'idle', size: 1000, figure: 'commands', isBetter: 'less', format: count },
  },
]

const COLUMNS = [
  { title: '', cell: ({ says }) => says, isText: true },
  { title: 'this package', cell: ({ ours }) => ours },
  { title: 'version 2', cell: ({ original }) => original },
  { title: 'best other', cell: ({ best }) => best },
]

/** Writes what was measured last into the README, where all of it was measured. */
function updateReadme(runs) {
  if (!LINES.every(({ workload }) => runs[workload])) return
  const text = fs.readFileSync(README, 'utf8')
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (from < 0 || to < 0) return
  const table = markdownTable(
    COLUMNS,
    LINES.map((line) => toRow(line, runs)),
  ).join('\n')
  const { node, server, cores, date } = runs[LINES[0].workload].machine
  const conditions = `${date}, ${server}, Node ${node.slice(1)}, ${cores} cores; medians.`
  const measured = `\n${table}\n\n${conditions}\n\n`
  fs.writeFileSync(README, text.slice(0, from + BEGIN.length) + measured + text.slice(to))
}

function toRow({ says, workload: name, size, figure, isBetter, format }, runs) {
  const workload = WORKLOADS.find((one) => one.name === name)
  const { rows = [] } =
    summarize(workload, runs[name].samples).find((one) => one.size === size) ?? {}
  const medians = (contenders) =>
    rows
      .filter(({ contender, values }) => contenders.includes(contender) && values[figure])
      .map(({ name, values }) => ({ name, median: values[figure].median }))
      .sort((one, other) => (other.median - one.median) * (isBetter === 'more' ? 1 : -1))
  const [ours, original] = [OURS, ORIGINAL].map((contender) => medians([contender])[0])
  const best = medians(PEERS)[0]
  const shown = (one) => (one ? format(one.median) : '–')
  return {
    says,
    ours: shown(ours),
    original: shown(original),
    best: best ? `${shown(best)} (${best.name.split(' ')[0]})` : '–',
  }
}

module.exports = { updateReadme }
