'use strict'

const { parseArgs } = require('node:util')
const { CONTENDERS, ORIGINAL, PERMITS, REQUEST, SHARED } = require('./contenders/index.js')
const { WORKLOADS, GROUPS } = require('./workloads/index.js')

/** Whoever takes part in anything. */
const ALL = [...CONTENDERS, REQUEST, SHARED, PERMITS]

const HELP = `npm run bench -- [options]

  --workload <names>  what to measure, all of it by default, which takes about 25 minutes:
${WORKLOADS.map(toLine).join('\n')}
                        contended: ${GROUPS.contended.join(', ')}
  --quick             a few short rounds, about 6 minutes: good for a first look, not for a claim
  --check             a minute, and an error where this package has fallen behind the committed
                      results, next to ${ORIGINAL} and by more than the noise
  --rounds <n>        how many rounds
  --seconds <n>       how long each contender is measured per size and round
  --sizes <numbers>   how much of it, some of the workload's sizes
  --only <names>      who takes part, besides ${ORIGINAL}; some of
                      ${inLines(ALL, 4).join(',\n                      ')}
  --report            measure nothing, write again what is made of bench/results/latest.json
  --save              write the results also where one of the above has made them smaller`

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
 * @returns {{ isCheck: boolean, isReport: boolean, save: boolean, chosen: { plan: import('./rounds.js').Plan,
 *   workload: import('./workloads/index.js').Workload }[] }}
 */
function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      workload: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      sizes: { type: 'string' },
      only: { type: 'string' },
      report: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    process.exit()
  }

  const { quick, check, rounds, seconds, sizes, only } = values
  const chosen = workloads(values)
    .map((workload) => ({ workload, plan: makePlan(workload, values) }))
    .filter(({ plan }) => plan.contenders.length > 0 && plan.sizes.length > 0)
  if (chosen.length === 0) throw new RangeError('nothing left to measure with --only and --sizes')
  const isLess = [rounds, seconds, sizes, only].some((value) => value !== undefined)
  const save = !check && (values.save || !(quick || isLess))
  return { isCheck: check, isReport: values.report, save, chosen }
}

function workloads({ workload, check }) {
  const known = WORKLOADS.filter((one) => !check || one.check)
  if (workload === undefined) return known
  const names = workload.split(',').flatMap((name) => GROUPS[name] ?? [name])
  checkNames(
    names,
    known.map(({ name }) => name),
  )
  return known.filter(({ name }) => names.includes(name))
}

function makePlan(workload, values) {
  const { quick, check, only } = values
  const base = check ? workload.check : quick ? workload.quick : workload.full
  const { rounds, seconds, sizes = workload.sizes, contenders = workload.contenders } = base
  const wanted = values.sizes?.split(',').map((size) => positive('sizes', size))
  return {
    rounds: positive('rounds', values.rounds ?? rounds),
    ...(seconds && { seconds: positive('seconds', values.seconds ?? seconds) }),
    sizes: sizes.filter((size) => wanted === undefined || wanted.includes(size)),
    contenders: takingPart(contenders, only),
  }
}

function positive(name, value) {
  const number = Number(value)
  if (number > 0) return number
  throw new RangeError(`Expected \`--${name}\` to be a number above 0; got ${value}`)
}

function takingPart(contenders, only) {
  if (only === undefined) return contenders
  const names = only.split(',')
  checkNames(names, ALL)
  return contenders.filter((name) => names.includes(name) || name === ORIGINAL)
}

function checkNames(names, known) {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new RangeError(`${unknown} is none of ${known.join(', ')}`)
}

module.exports = { readOptions }
