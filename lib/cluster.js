'use strict'

const url = require('./clients/url.js')

/**
 * The nodes of a Cluster that may be asked for the others, in all the ways that they are written:
 * `{ host, port }`, a URL, `'host:port'`, a port.
 *
 * @param {unknown} list
 * @returns {import('./settings.js').Read[]} what each says of itself, one at least
 */
function startupNodes(list) {
  if (!Array.isArray(list) || list.length === 0) {
    throw new TypeError(`Expected \`cluster\` to be a list of nodes; got ${kindOf(list)}`)
  }
  return list.map(startupNode)
}

function startupNode(node) {
  if (typeof node === 'number') return { host: '127.0.0.1', port: node }
  if (typeof node === 'string' || url.is(node)) {
    const text = typeof node === 'string' ? node : node.href
    const read = url.read(text.includes('://') ? text : `redis://${text}`)
    if (read.host !== undefined) return read
  } else if (typeof node === 'object' && node !== null && !node.path) {
    const { host, port, family, username, password, tls } = node
    return { host, port, family, username, password, tls }
  }
  // Not the value: it may hold a password.
  throw new TypeError(
    `Expected each node of \`cluster\` to be { host, port }, a URL or 'host:port'; got ${kindOf(node)}`,
  )
}

function kindOf(value) {
  if (value === null) return 'null'
  if (!Array.isArray(value)) return typeof value === 'object' ? 'an object' : `a ${typeof value}`
  return value.length === 0 ? 'an empty one' : 'a list'
}

module.exports = { startupNodes }
