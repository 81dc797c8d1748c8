'use strict'

const { parseArgs } = require('node:util')
const { CONTENDERS, ORIGINAL } = require('./contenders/index.js')
const { WORKLOADS, GROUPS } = require('./workloads/index.js')

const HELP = `npm run bench -- [options]

  --workload <names>  what to measure, all of it by default, which takes about 20 minutes:
${WORKLOADS.map(toLine).join('\n')}
                        contended: all but free
  --quick             a few short rounds, about 4 minutes: good for a first look, not for a claim
  --rounds <n>        how many rounds
  --seconds <n>       how long each contender is measured per size and round
  --only <names>      who takes part, besides ${ORIGINAL}; some of
                      ${inLines(CONTENDERS, 5).join(',\n                      ')}`

function toLine({ name, title, full: { rounds, seconds } }) {
  const plan = `${rounds} rounds${seconds ? ` of ${seconds} s` : ''}`
  return `                        ${name}: ${title.toLowerCase()}, ${plan}`
}

function inLines(names, length) {
  const starts = names.map((_, index) => index).filter((index) => index % length === 0)
  return starts.map((start) => names.slice(start, start + length).join(','))
}

/**
 * What the command line asks for.
 *
 * @returns {{ workload: import('./workloads/index.js').Workload,
 *   plan: { contenders: string[], rounds: number, seconds?: number } }[]}
 */
function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      workload: { type: 'string', default: 'all' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    process.exit()
  }

  const names = values.workload.split(',').flatMap((name) => GROUPS[name] ?? [name])
  checkNames(
    names,
    WORKLOADS.map(({ name }) => name),
  )
  const chosen = WORKLOADS.filter(({ name }) => names.includes(name)).map((workload) => {
    const { rounds, seconds } = values.quick ? workload.quick : workload.full
    return {
      workload,
      plan: {
        rounds: positive('rounds', values.rounds ?? rounds),
        ...(seconds && { seconds: positive('seconds', values.seconds ?? seconds) }),
        contenders: takingPart(workload.contenders, values.only),
      },
    }
  })
  const runs = chosen.filter(({ plan }) => plan.contenders.length > 0)
  if (runs.length === 0) throw new RangeError(`${values.only}: not in ${names.join(', ')}`)
  return runs
}

function positive(name, value) {
  const number = Number(value)
  if (number > 0) return number
  throw new RangeError(`Expected \`--${name}\` to be a number above 0; got ${value}`)
}

function takingPart(contenders, only) {
  if (only === undefined) return contenders
  const names = only.split(',')
  checkNames(names, CONTENDERS)
  return contenders.filter((name) => names.includes(name) || name === ORIGINAL)
}

function checkNames(names, known) {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new RangeError(`${unknown} is none of ${known.join(', ')}`)
}

module.exports = { readOptions }
