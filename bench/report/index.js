'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { judge } = require('../judge.js')
const { summarize } = require('../summary.js')
const { WORKLOADS } = require('../workloads/index.js')
const { NAME } = require('./columns.js')
const { drawPictures } = require('./pictures.js')
const { updateReadme } = require('./readme.js')
const { RESULTS, readRuns, writeRuns } = require('./runs.js')
const { textTable, markdownTable } = require('./table.js')
const { verdicts } = require('./verdicts.js')

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
 * Writes the same to `results/`, with pictures, and what matters most to the README; what was not
 * measured now stays there as it was.
 */
function saveRun(workload, run) {
  fs.mkdirSync(RESULTS, { recursive: true })
  writeRuns({ ...readRuns(), [workload.name]: run })
  writeReport()
}

/** Writes all that is made of what was saved. */
function writeReport() {
  const all = readRuns()
  const known = WORKLOADS.filter(({ name }) => all[name])
  const runs = Object.fromEntries(known.map(({ name }) => [name, all[name]]))
  const sections = known.flatMap((workload) => section(workload, runs[workload.name]))
  const text = ['# npm run bench', '', ...targetSection(known, runs), ...sections, ''].join('\n')
  fs.writeFileSync(path.join(RESULTS, 'latest.md'), text)
  updateReadme(runs)
}

/** All of them, those that were missed first. */
function targetSection(workloads, runs) {
  const lines = workloads.flatMap((workload) =>
    verdicts(workload, judge(workload, runs[workload.name].samples)).map(
      (line) => `${line.slice(0, 1)} ${workload.title}, ${line.slice(2)}`,
    ),
  )
  const missed = lines.filter((line) => line.startsWith('✗'))
  const met = lines.filter((line) => !missed.includes(line))
  return [
    ...[
      '## Targets',
      '',
      `${met.length} of ${lines.length} are met. In brackets is where the middle`,
    ],
    ...['half of the rounds lies.', ...list([...missed, ...met])],
  ]
}

function section(workload, run) {
  const tables = summarize(workload, run.samples).flatMap(({ size, rows }) => [
    ...['', `### ${workload.sizeTitle(size)}`, ''],
    ...markdownTable([NAME, ...workload.columns], rows),
    ...list(failures(rows)),
  ])
  const pictures = drawPictures(workload, run).flatMap((file) => [
    '',
    `![${workload.title}](${file})`,
  ])
  return [
    ...['', `## ${workload.title}`, '', conditions(run), '', workload.legend],
    ...[...pictures, ...tables],
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

module.exports = { printRun, saveRun, writeReport }
