'use strict'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }

/**
 * Functions that colour a text on terminals, and leave it alone elsewhere and where NO_COLOR says so.
 *
 * @param {NodeJS.WriteStream} stream   where it will be written
 * @returns {Record<keyof typeof CODES, (text: string) => string>}
 */
function style(stream) {
  const { NO_COLOR, TERM } = process.env
  const isColoured = Boolean(stream.isTTY) && !NO_COLOR && TERM !== 'dumb'
  const paint = (code) => (text) => (isColoured ? `\x1b[${code}m${text}\x1b[0m` : text)
  return Object.fromEntries(Object.entries(CODES).map(([name, code]) => [name, paint(code)]))
}

module.exports = { style }
