'use strict'

/**
 * Whether a name is meant: `*` stands for any characters, `?` for one. Without a pattern all are.
 *
 * @param {string} [pattern]
 * @returns {(name: string) => boolean}
 */
function matches(pattern) {
  if (pattern === undefined) return () => true
  const escaped = pattern.replace(/[\\^$.+()|[\]{}]/g, '\\$&')
  const expression = new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`, 'su')
  return (name) => expression.test(name)
}

module.exports = { matches }
