'use strict'

const { parseArgs } = require('node:util')
const { UsageError, explain } = require('./errors.js')
const exitCodes = require('./exit-codes.js')
const { ofCommand, overview } = require('./help.js')

/**
 * The commands, in the order of the help.
 *
 * @typedef {object} Command
 * @property {string} summary
 * @property {string} help   what it does, with examples and exit codes
 * @property {import('node:util').ParseArgsConfig['options']} options
 * @property {boolean} [takesCommand]   whether a command line of another program comes behind `--`
 * @property {(given: { values: any, positionals: string[], command?: string[] }) => Promise<number>} execute
 *
 * @type {Record<string, Command>}
 */
const commands = {
  run: require('./commands/run.js'),
  ls: require('./commands/ls.js'),
  show: require('./commands/show.js'),
  watch: require('./commands/watch.js'),
  release: require('./commands/release.js'),
  doctor: require('./commands/doctor.js'),
}

const SIGPIPE = 13

const COMMON_OPTIONS = { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } }

/**
 * Carries out a command line.
 *
 * @param {string[]} argv   without the program
 * @returns {Promise<number>} the exit code
 */
async function main(argv) {
  const [name, ...rest] = argv
  try {
    // doctor says what a program would be warned of.
    process.removeAllListeners('warning')
    // Nobody reads on (`| head`); but a command that runs under a lock goes on.
    process.stdout.on('error', () => process.exit(exitCodes.SIGNAL + SIGPIPE))
    process.stderr.on('error', () => {})
    if (name === undefined) {
      process.stderr.write(overview(commands))
      return exitCodes.USAGE
    }
    if (['help', '--help', '-h'].includes(name)) return print(helpOf(rest[0]))
    if (['version', '--version'].includes(name)) {
      return print(`${require('../../package.json').version}\n`)
    }
    const command = find(name)
    const given = parse(command, rest)
    if (given.values.help) return print(ofCommand(command))
    return await command.execute(given)
  } catch (error) {
    return fail(error, argv)
  }
}

function find(name) {
  if (Object.hasOwn(commands, name)) return commands[name]
  const names = Object.keys(commands).join(', ')
  throw new UsageError(`there is no command ${JSON.stringify(name)}, only ${names}`)
}

function helpOf(name) {
  return name === undefined ? overview(commands) : ofCommand(find(name))
}

function parse({ options, takesCommand }, argv) {
  const at = takesCommand ? argv.indexOf('--') : -1
  const args = at < 0 ? argv : argv.slice(0, at)
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { ...COMMON_OPTIONS, ...options },
      allowPositionals: true,
    })
    return { values, positionals, command: at < 0 ? undefined : argv.slice(at + 1) }
  } catch (error) {
    throw new UsageError(error.message)
  }
}

function print(text) {
  process.stdout.write(text)
  return exitCodes.OK
}

function fail(error, argv) {
  const { code, text } = explain(error)
  const isJson = argv.slice(0, argv.indexOf('--') >>> 0).includes('--json')
  const more = Object.hasOwn(commands, argv[0]) ? `dist-lock help ${argv[0]}` : 'dist-lock help'
  const hint = error instanceof UsageError ? `\n${more} explains it.` : ''
  const message = isJson
    ? JSON.stringify({ event: 'error', code: error.code, message: text })
    : `dist-lock: ${text}${hint}`
  process.stderr.write(`${message}\n`)
  return code
}

module.exports = { commands, main }
