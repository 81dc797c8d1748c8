'use strict'

const { CONNECTION_OPTIONS, address, connect, urlsOf } = require('../connection.js')
const { check } = require('../doctor/checks.js')
const { gather } = require('../doctor/facts.js')
const { UsageError } = require('../errors.js')
const exitCodes = require('../exit-codes.js')
const { style } = require('../style.js')

const summary = 'say whether locks are safe with this Redis'

const help = `Usage: dist-lock doctor [options]

Connects as your program would, takes and releases a few locks of its own, asks Redis about itself,
and says what is fine, what is not, and what to do about it. Changes nothing.

Examples:
  dist-lock doctor --url redis://redis.internal:6379
  dist-lock doctor --json | jq '.findings[] | select(.level == "problem")'

Options:
  --samples N            how many locks to measure with (default 200)
  --json                 one document: { url, healthy, findings: [{ name, level, message, advice }], … },
                         or a list of them where there are several servers

Exit codes:
  0    fine, apart from notes and warnings
  ${exitCodes.NO}    there is a problem
  ${exitCodes.REDIS}   Redis cannot be reached, or refuses to lock
`

const options = { ...CONNECTION_OPTIONS, samples: { type: 'string' } }

const MOST_SAMPLES = 100_000

/** @returns {Promise<number>} the exit code */
async function execute({ values, positionals }) {
  if (positionals.length > 0) throw new UsageError('doctor takes no arguments, only options')
  const samples = Number(values.samples ?? 200)
  if (!Number.isInteger(samples) || samples < 1 || samples > MOST_SAMPLES) {
    throw new UsageError(`Expected --samples to be a number from 1 to ${MOST_SAMPLES}`)
  }
  const all = []
  for (const url of urlsOf(values)) all.push(await examine({ ...values, url: [url] }, samples))
  if (values.json) print(JSON.stringify(all.length === 1 ? all[0] : all, null, 2))
  else all.forEach(report)
  return all.every(({ healthy }) => healthy) ? exitCodes.OK : exitCodes.NO
}

/** What there is to say of one server. */
async function examine(values, samples) {
  const manager = connect(values)
  // Managers with equal settings share a connection, and these two must not.
  const other = connect(values, { commandTimeout: 4999 })
  const { latency, handoff, clock, mode, ...facts } = await gather(manager, other, samples)
  const findings = check({ latency, handoff, clock, mode, ...facts })
  const healthy = findings.every(({ level }) => level !== 'problem')
  const url = address(manager.source.settings())
  return { url, healthy, findings, mode, latency, handoff, clock }
}

function report({ url, findings, healthy }) {
  const { bold, dim, green, red, yellow } = style(process.stdout)
  const marks = { ok: green('✓'), note: dim('·'), warning: yellow('!'), problem: red('✗') }
  const width = Math.max(...findings.map(({ name }) => name.length))

  print(`${bold(url)}\n`)
  for (const { name, level, message, advice } of findings) {
    print(`${marks[level]} ${name.padEnd(width)}  ${message}`)
    if (advice) print(dim(`  ${' '.repeat(width)}  → ${advice}`))
  }
  const count = (wanted) => findings.filter(({ level }) => level === wanted).length
  const [problems, warnings] = [count('problem'), count('warning')]
  const many = (number, word) => `${number} ${word}${number === 1 ? '' : 's'}`
  const verdict = `${many(problems, 'problem')}, ${many(warnings, 'warning')}`
  print(`\n${healthy ? (warnings ? yellow(verdict) : green('All is well.')) : red(verdict)}`)
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

module.exports = { summary, help, options, execute }
