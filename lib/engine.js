'use strict'

const { NativeEngine } = require('./native.js')
const { failure } = require('./errors.js')
const { Links, canReadDirectly } = require('./links.js')
const { Outbox } = require('./outbox.js')

/**
 * The calls that wait for their completion, by number, and the one wake-up that brings the
 * completions of all of them. `src/node/completion.rs` writes what is read here.
 */

/** Numbers per completion: call, outcome, two values, the lengths of four texts. */
const FIELDS = 8
/** Completions taken in one crossing. Their texts share memory for as long as one is in use. */
const ROOM = 128

/** Outcomes; the others, nobody holds it and cancelled, say nothing more. */
const [GRANTED, NO, YES, HELD, ASK, FAILED, OPENED] = [1, 2, 3, 4, 7, 8, 9]

const native = new NativeEngine(drain, canReadDirectly)
const links = new Links(native, (link, bytes, count) => {
  take(native.receive(link, bytes, count, numbers))
})
const outbox = new Outbox((...submission) => native.submit(...submission))
const numbers = new Float64Array(1 + ROOM * FIELDS)

/** @type {(import('./calls.js').Call | undefined)[]} */
const calls = []
const unused = []

/** Reads the texts of a record in turn. */
let texts = ''
let position = 0

/**
 * Registers a call and returns its number, under which it is submitted in the same tick.
 *
 * @param {import('./calls.js').Call} call
 * @returns {number}
 */
function begin(call) {
  const number = unused.length > 0 ? unused.pop() : calls.length
  calls[number] = call
  return number
}

/** Ends a call early: it completes, a little later, with `reason` as its error. */
function cancel(number, reason) {
  const call = calls[number]
  call.isCancelled = true
  call.reason = reason
  // One that has arrived ends in this very batch, after the call whose caller cancels it.
  if (call.arrived) return
  outbox.flush()
  native.cancel(number)
}

function drain() {
  take(native.drain(numbers))
}

/** Goes through the completions in `numbers`, whose texts are `all`, and takes those there was no room for. */
function take(all) {
  texts = all
  for (;;) {
    position = 0
    const count = numbers[0]
    for (let at = 1; at <= count * FIELDS; at += FIELDS) {
      if (isEnd(numbers[at + 1])) calls[numbers[at]].arrived = true
    }
    for (let at = 1; at <= count * FIELDS; at += FIELDS) {
      const outcome = numbers[at + 1]
      if (isEnd(outcome)) complete(numbers[at], at)
      else if (outcome === ASK) askForCredentials(numbers[at], numbers[at + 2])
      else links.attach(numbers[at])
    }
    if (count < ROOM) return
    texts = native.drain(numbers)
  }
}

/** Whether a call ends with this outcome. */
function isEnd(outcome) {
  return outcome !== ASK && outcome !== OPENED
}

function complete(number, at) {
  const call = calls[number]
  calls[number] = undefined
  unused.push(number)

  const outcome = numbers[at + 1]
  let value = null
  let error
  if (outcome === GRANTED) value = call.granted(text(at, 0), numbers[at + 2], numbers[at + 3])
  else if (outcome === YES) value = true
  else if (outcome === NO) value = false
  else if (outcome === HELD) value = call.held(text(at, 0), text(at, 1) ?? null)
  else if (outcome === FAILED)
    error = failure(call.resource, ...[0, 1, 2, 3].map((n) => text(at, n)))

  call.ended?.()
  try {
    if (call.isCancelled) {
      if (outcome === GRANTED) call.giveBack(value.id)
      call.fail(call.reason)
    } else if (outcome === FAILED) call.fail(error)
    else call.succeed(value)
  } catch (thrown) {
    // A callback's own failure is the program's, and must not keep others from their callbacks.
    process.nextTick(rethrow, thrown)
  }
}

/** The next text of a record; they must be read in order. */
function text(at, index) {
  const length = numbers[at + 4 + index]
  if (length < 0) return undefined
  const start = position
  position += length
  return texts.slice(start, position)
}

function rethrow(thrown) {
  throw thrown
}

/** Functions that give credentials, by the number Rust asks with; they live as their settings do. */
const providers = new Map()
const providerNumbers = new WeakMap()
const dropped = new FinalizationRegistry((number) => providers.delete(number))
let nextProvider = 0

function providerNumber(credentials) {
  let number = providerNumbers.get(credentials)
  if (number === undefined) {
    number = nextProvider++
    providerNumbers.set(credentials, number)
    providers.set(number, new WeakRef(credentials))
    dropped.register(credentials, number)
  }
  return number
}

async function askForCredentials(request, number) {
  try {
    const credentials = providers.get(number)?.deref()
    const { username, password } = (await credentials?.()) ?? {}
    native.answer(request, username || undefined, password ?? undefined)
  } catch (error) {
    native.answer(request, undefined, undefined, `no credentials: ${error?.message ?? error}`)
  }
}

/**
 * Opens the locks that `settings` name and returns the number of their locker.
 *
 * @param {import('./settings.js').ConnectionSettings} settings
 * @param {{ connectTimeout: number, commandTimeout: number }} timeouts   in milliseconds
 */
function open(settings, timeouts) {
  const { credentials, ...plain } = settings
  const provider = credentials && providerNumber(credentials)
  try {
    return native.open({ ...plain, ...timeouts, provider })
  } catch (error) {
    // What Rust finds wrong with settings (a certificate that is none) is the caller's to mend.
    throw new TypeError(error.message, { cause: error })
  }
}

/** Lets go of a locker. */
function close(locker) {
  native.close(locker)
}

module.exports = { begin, calls, cancel, close, links, open, outbox }
