'use strict'

/** A manager's options and their defaults. */
const DEFAULTS = {
  ttl: 30000,
  retryDelay: 50,
  maxRetries: -1,
  keyPrefix: 'lock:',
  connectTimeout: 10000,
  commandTimeout: 5000,
  nodeTimeout: 500,
  failoverSettleTime: 0,
  minReplicas: 0,
  replicaTimeout: 1000,
  autoExtend: false,
  maxHold: Infinity,
}

/** The first four are version 2's, which wrote them into the caller's object. */
const WRITTEN_BACK = ['ttl', 'retryDelay', 'maxRetries', 'keyPrefix']

/** The longest time a timer of Node can count; anything longer became 1 ms. */
const LONGEST_TIMER = 2 ** 31 - 1

/** @param {any} options   the caller's; what is undefined in it is filled in, as in version 2 */
function withDefaults(options) {
  options ||= {}
  if (typeof options !== 'object' && typeof options !== 'function') {
    throw new TypeError(`Expected \`options\` to be an object; got ${shown(options)}`)
  }
  for (const name of WRITTEN_BACK) {
    // A frozen object stays as it is; its defaults apply all the same.
    if (options[name] === undefined) Reflect.set(options, name, DEFAULTS[name])
  }
  return options
}

/** What an option is now: options may change between two calls. */
function current(options, name) {
  const value = options[name]
  return value === undefined ? DEFAULTS[name] : value
}

/** What applies to one call: its own option, the manager's, or the default. */
function ofCall(own, manager, otherwise) {
  if (own !== undefined) return own
  return manager === undefined ? otherwise : manager
}

/** Whole milliseconds of 1 or more; digits in a string count. */
function ttl(value) {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || Number.isNaN(number)) {
    throw new TypeError(`Expected \`ttl\` to be a number of milliseconds; got ${shown(value)}`)
  }
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new RangeError(`Expected \`ttl\` to be an integer of 1 or more; got ${shown(value)}`)
  }
  return number
}

/** As `setTimeout` takes it: what is no number, below 1 or too large is 1 ms. */
function retryDelay(value) {
  const number = toNumber(value)
  return number >= 1 && number <= LONGEST_TIMER ? Math.trunc(number) : 1
}

/** As version 2 compared it: only the number −1 and Infinity never end, nonsense is one try. */
function maxRetries(value) {
  if (value === -1) return Infinity
  const number = toNumber(value)
  if (number === Infinity) return Infinity
  return number >= 1 ? Math.min(Math.trunc(number), 2 ** 32 - 1) : 0
}

/** Milliseconds of 0 or more; `undefined` and Infinity never end. */
function timeout(value) {
  if (value === undefined) return Infinity
  return duration('timeout', value, 0)
}

/** How many may hold a lock at once, as the core is told: −1 for one alone, 0 for any number. */
const [ALONE, SHARED] = [-1, 0]
/** In its place: the lock is taken from whoever has it. */
const STEAL = -2

/** With whom a lock is held: `mode` 'exclusive' or 'shared', or so many `permits`. */
function sharing({ mode, permits }) {
  if (mode !== undefined && mode !== 'exclusive' && mode !== 'shared') {
    throw new TypeError(`Expected \`mode\` to be 'exclusive' or 'shared'; got ${shown(mode)}`)
  }
  if (permits === undefined) return mode === 'shared' ? SHARED : ALONE
  if (typeof permits !== 'number' || !Number.isInteger(permits)) {
    throw new TypeError(`Expected \`permits\` to be an integer; got ${shown(permits)}`)
  }
  if (permits < 1 || permits >= 2 ** 32) {
    throw new RangeError(`Expected \`permits\` to be from 1 to 4294967295; got ${permits}`)
  }
  if (mode !== undefined) {
    throw new TypeError(
      `Expected \`permits\` or \`mode\`, not both; got ${shown(mode)} and ${permits}`,
    )
  }
  return permits
}

/** Whether a lock is kept alive until it is released. */
function autoExtend(value) {
  if (typeof value === 'boolean') return value
  throw new TypeError(`Expected \`autoExtend\` to be a boolean; got ${shown(value)}`)
}

/** The longest hold under `autoExtend`: milliseconds of 1 or more, or Infinity. */
function maxHold(value) {
  return duration('maxHold', value, 1)
}

/** The options that make a connection another one, with the least each may be; see `isSameConnection`. */
const OF_CONNECTION = {
  connectTimeout: 1,
  commandTimeout: 1,
  nodeTimeout: 1,
  failoverSettleTime: 0,
  minReplicas: 0,
  replicaTimeout: 1,
}

/** The manager's options for its connection; times in milliseconds. */
function ofConnection(options) {
  const all = {}
  for (const name in OF_CONNECTION) {
    all[name] = name === 'minReplicas' ? minReplicas(options) : connectionOption(options, name)
  }
  return all
}

/** How many replicas must have what is granted. */
function minReplicas(options) {
  const value = current(options, 'minReplicas')
  if (typeof value !== 'number') {
    throw new TypeError(`Expected \`minReplicas\` to be a number of replicas; got ${shown(value)}`)
  }
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value
  throw new RangeError(
    `Expected \`minReplicas\` to be an integer of 0 or more; got ${shown(value)}`,
  )
}

/**
 * Whether `options` are as they were when `before` was made of them. Each by its name: every call asks
 * this, and to find a property by a variable takes a hundred times as long.
 */
function isSameConnection(options, before) {
  return (
    is(before.connectTimeout, options.connectTimeout, DEFAULTS.connectTimeout) &&
    is(before.commandTimeout, options.commandTimeout, DEFAULTS.commandTimeout) &&
    is(before.nodeTimeout, options.nodeTimeout, DEFAULTS.nodeTimeout) &&
    is(before.failoverSettleTime, options.failoverSettleTime, DEFAULTS.failoverSettleTime) &&
    is(before.minReplicas, options.minReplicas, DEFAULTS.minReplicas) &&
    is(before.replicaTimeout, options.replicaTimeout, DEFAULTS.replicaTimeout)
  )
}

function is(before, value, otherwise) {
  return before === (value === undefined ? otherwise : value)
}

function connectionOption(options, name) {
  const value = current(options, name)
  const number = duration(name, value, OF_CONNECTION[name])
  if (number <= LONGEST_TIMER) return number
  throw new RangeError(`Expected \`${name}\` to be at most ${LONGEST_TIMER}; got ${shown(value)}`)
}

function duration(name, value, least) {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new TypeError(`Expected \`${name}\` to be a number of milliseconds; got ${shown(value)}`)
  }
  if (value < least) {
    throw new RangeError(`Expected \`${name}\` to be ${least} or more; got ${shown(value)}`)
  }
  return value
}

function signal(value) {
  if (value === undefined) return undefined
  if (typeof value === 'object' && value !== null && typeof value.aborted === 'boolean')
    return value
  throw new TypeError(`Expected \`signal\` to be an AbortSignal; got ${shown(value)}`)
}

function toNumber(value) {
  // Symbols, BigInts and objects that refuse are no numbers, rather than exceptions.
  try {
    return Number(value)
  } catch {
    return NaN
  }
}

function shown(value) {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

module.exports = {
  DEFAULTS,
  ALONE,
  STEAL,
  autoExtend,
  current,
  isSameConnection,
  maxHold,
  maxRetries,
  ofCall,
  ofConnection,
  retryDelay,
  sharing,
  signal,
  timeout,
  ttl,
  withDefaults,
}
