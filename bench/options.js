'use strict'

const { parseArgs } = require('node:util')
const { CONTENDERS, ORIGINAL } = require('./contenders/index.js')

const HELP = `npm run bench -- [options]

  --quick          three short rounds, about 20 seconds: good for a first look, not for a claim
  --rounds <n>     rounds, 7 by default
  --seconds <n>    how long each contender is measured per workload and round, 0.7 by default
  --only <names>   some of ${CONTENDERS.join(',')};
                   ${ORIGINAL} always takes part`

/** What the command line asks for. */
function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
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

  return {
    rounds: positive('rounds', values.rounds ?? (values.quick ? 3 : 7)),
    seconds: positive('seconds', values.seconds ?? (values.quick ? 0.25 : 0.7)),
    contenders: chosen(values.only),
  }
}

function positive(name, value) {
  const number = Number(value)
  if (number > 0) return number
  throw new RangeError(`Expected \`--${name}\` to be a number above 0; got ${value}`)
}

function chosen(only) {
  if (only === undefined) return CONTENDERS
  const names = only.split(',')
  const unknown = names.find((name) => !CONTENDERS.includes(name))
  if (unknown) throw new RangeError(`${unknown} is none of ${CONTENDERS.join(', ')}`)
  return CONTENDERS.filter((name) => names.includes(name) || name === ORIGINAL)
}

module.exports = { readOptions }
