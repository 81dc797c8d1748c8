'use strict'

const option = require('../options.js')

const OPTIONS = ['mode', 'ifAvailable', 'steal', 'signal']
const OURS = ['owner', 'ttl', 'retryDelay', 'timeout', 'maxHold']

/**
 * What a request asks for, converted and checked as the specification says; ours as those of `acquire`.
 *
 * @param {import('../manager.js').Manager} manager
 * @param {any} options
 */
function requestOptions(manager, options) {
  if (options === undefined || options === null) options = {}
  if (typeof options !== 'object' && typeof options !== 'function') {
    throw new TypeError(`Expected \`options\` to be an object; got ${typeof options}`)
  }
  const [mode, ifAvailable, steal] = [modeOf(options.mode), !!options.ifAvailable, !!options.steal]
  const signal = option.signal(options.signal)
  for (const name in options) {
    if (!OPTIONS.includes(name) && !OURS.includes(name)) {
      const known = [...OPTIONS, ...OURS].join(', ')
      throw new TypeError(`Expected the options of request to be among ${known}; got \`${name}\``)
    }
  }
  const { owner = '', ttl, retryDelay, timeout, maxHold } = options
  if (typeof owner !== 'string') throw new TypeError('Expected `owner` to be a string')

  if (steal && ifAvailable) throw notSupported('`steal` and `ifAvailable` exclude each other')
  if (steal && mode !== 'exclusive') throw notSupported("`steal` takes `mode: 'exclusive'`")
  if (signal && (steal || ifAvailable)) {
    throw notSupported('`signal` is for requests that may have to wait')
  }
  const maxRetries = ifAvailable ? 0 : -1
  const ours = { ttl, retryDelay, maxRetries, timeout, autoExtend: true, maxHold, mode, signal }
  const request = manager.requestOf(ours)
  if (steal) request.sharing = option.STEAL
  return { mode, ifAvailable, owner, request }
}

function modeOf(mode) {
  if (mode === undefined) return 'exclusive'
  const text = `${mode}`
  if (text === 'exclusive' || text === 'shared') return text
  throw new TypeError(`Expected \`mode\` to be 'exclusive' or 'shared'; got '${text}'`)
}

function notSupported(message) {
  return new DOMException(message, 'NotSupportedError')
}

module.exports = { notSupported, requestOptions }
