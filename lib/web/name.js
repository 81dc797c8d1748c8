'use strict'

/**
 * Names of the web are any strings of JavaScript; what lies in Redis is UTF-8, which has no lone halves
 * of a surrogate pair. So a half is written as this character and four hexadecimal digits, and this
 * character, which Unicode promises never to give a meaning, as itself twice.
 */
const ESCAPE = '\u{10fffd}'

const TO_ESCAPE =
  /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udbff\udffd/g
const ESCAPED = /\udbff\udffd(?:\udbff\udffd|[0-9a-f]{4})/g

/** The name as it lies in Redis: most are the same. */
function encode(name) {
  return name.replace(TO_ESCAPE, (found) =>
    found === ESCAPE ? ESCAPE + ESCAPE : ESCAPE + found.charCodeAt(0).toString(16),
  )
}

/** The name that was encoded so. */
function decode(text) {
  return text.replace(ESCAPED, (found) =>
    found === ESCAPE + ESCAPE
      ? ESCAPE
      : String.fromCharCode(Number.parseInt(found.slice(ESCAPE.length), 16)),
  )
}

module.exports = { encode, decode }
