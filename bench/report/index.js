'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { summarize } = require('../summary.js')
const { judge } = require('../targets.js')
const { WORKLOADS } = require('../workloads/index.js')
const { NAME } = require('./columns.js')
const { textTable, markdownTable } = require('./table.js')
const { verdicts } = require('./verdicts.js')

const RESULTS = path.join(__dirname, '..', 'results')

/**
 * What was measured of one workload. All that is shown comes from the samples.
 *
 * @typedef {object} Run
 * @property {object} machine   see `machine.js`
 * @property {{ rounds: number, seconds?: number }} plan
 * @property {number} took   seconds
 * @property {import('../rounds.js').Sample[]} samples
 */

/** Shows what was measured. */
function printRun(workload, run) {
  console.log(`\n${workload.title}\n${conditions(run)}\n\n${workload.legend}`)
  for (const { size, rows } of summarize(workload, run.samples)) {
    console.log(`\n${workload.sizeTitle(size)}`)
    for (const line of textTable([NAME, ...workload.columns], rows)) console.log(`  ${line}`)
    for (const line of failures(rows)) console.log(`  ${line}`)
  }
  const targets = verdicts(workload, judge(workload, run.samples))
  if (targets.length > 0) console.log('\nTargets')
  for (const line of targets) console.log(`  ${line}`)
}

/**
 * Writes the same to `results/latest.md`, and every sample to `results/latest.json`; what was not
 * measured now stays there as it was.
 */
function saveRun(workload, run) {
  fs.mkdirSync(RESULTS, { recursive: true })
  const file = path.join(RESULTS, 'latest.json')
  const saved = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {}
  const all = { ...saved, [workload.name]: run }
  const known = WORKLOADS.filter(({ name }) => all[name])
  const sections = known.flatMap((workload) => section(workload, all[workload.name]))
  const kept = Object.fromEntries(known.map(({ name }) => [name, all[name]]))
  fs.writeFileSync(path.join(RESULTS, 'latest.md'), ['# npm run bench', ...sections, ''].join('\n'))
  fs.writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`)
}

function section(workload, run) {
  const tables = summarize(workload, run.samples).flatMap(({ size, rows }) => [
    ...['', `### ${workload.sizeTitle(size)}`, ''],
    ...markdownTable([NAME, ...workload.columns], rows),
    ...list(failures(rows)),
  ])
  const targets = verdicts(workload, judge(workload, run.samples))
  return [
    ...['', `## ${workload.title}`, '', conditions(run), '', workload.legend, ...tables],
    ...(targets.length > 0 ? ['', '### Targets', ...list(targets)] : []),
  ]
}

function list(lines) {
  return lines.length > 0 ? ['', ...lines.map((line) => `- ${line}`)] : []
}

function failures(rows) {
  return rows
    .filter((row) => row.failures.length > 0)
    .map(({ name, rounds, failures: [reason, ...more] }) => {
      return `${name} failed in ${more.length + 1} of ${rounds} rounds: ${reason}`
    })
}

function conditions({ machine, plan, took }) {
  const { cpu, cores, system, node, server, date } = machine
  const time = plan.seconds ? ` of ${plan.seconds} s` : ''
  return (
    `${date}: Node ${node}, ${server}, ${cores} × ${cpu}, ${system};\n` +
    `${plan.rounds} rounds${time} per contender and size, ${took} s in all.`
  )
}

module.exports = { printRun, saveRun }
