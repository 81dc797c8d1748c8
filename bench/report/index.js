'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { COLUMNS, LEGEND, times } = require('./columns.js')
const { textTable, markdownTable } = require('./table.js')

const RESULTS = path.join(__dirname, '..', 'results')

/** Shows what was measured. */
function printReport({ machine, options, took, workloads, targets }) {
  console.log(`\n${conditions(machine, options, took)}\n\n${LEGEND}`)
  for (const { inFlight, rows } of workloads) {
    console.log(`\n${inFlight} in flight`)
    for (const line of textTable(COLUMNS, rows)) console.log(`  ${line}`)
  }
  console.log('\nTargets, next to the original')
  for (const target of targets) console.log(`  ${target.isMet ? '✓' : '✗'} ${verdict(target)}`)
}

/** Writes the same to `results/latest.md`, and with every sample to `results/latest.json`. */
function saveReport(report) {
  const { machine, options, took, workloads, targets } = report
  const markdown = [
    ...['# npm run bench', '', conditions(machine, options, took), '', LEGEND, ''],
    ...workloads.flatMap(({ inFlight, rows }) => [
      ...[`## ${inFlight} in flight`, '', ...markdownTable(COLUMNS, rows), ''],
    ]),
    ...['## Targets, next to the original', ''],
    ...targets.map((target) => `- ${target.isMet ? '✓' : '✗'} ${verdict(target)}`),
  ]
  fs.mkdirSync(RESULTS, { recursive: true })
  fs.writeFileSync(path.join(RESULTS, 'latest.md'), `${markdown.join('\n')}\n`)
  fs.writeFileSync(path.join(RESULTS, 'latest.json'), `${JSON.stringify(report, null, 2)}\n`)
  console.log('\nSaved as bench/results/latest.md and latest.json.')
}

function conditions(machine, { rounds, seconds }, took) {
  const { cpu, cores, system, node, server, date } = machine
  return (
    `${date}: Node ${node}, ${server}, ${cores} × ${cpu}, ${system};\n` +
    `${rounds} rounds of ${seconds} s per contender and workload, ${took} s in all.`
  )
}

function verdict({ says, ratio, most, least }) {
  const bound = most === undefined ? `at least ${least}` : `at most ${most}`
  return `${says}: ${times(ratio)}, wanted ${bound}`
}

module.exports = { printReport, saveReport }
