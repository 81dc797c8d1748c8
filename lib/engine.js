'use strict'

const { NativeEngine } = require('./native.js')
const { failure } = require('./errors.js')
const { Links, canReadDirectly } = require('./links.js')
const notices = require('./notices.js')
const { Outbox } = require('./outbox.js')

/**
 * The calls that wait for their completion, by number, and the one wake-up that brings the
 * completions of all of them. `src/node/completion.rs` writes what is read here.
 */

/** Numbers per completion: call, outcome, three values, the lengths of four texts. */
const FIELDS = 9
/** Completions taken in one crossing. Their texts share memory for as long as one is in use. */
const ROOM = 128

/** Outcomes; the others, nobody holds it and cancelled, say nothing more. */
const [GRANTED, NO, YES, HELD, ASK, FAILED] = [1, 2, 3, 4, 7, 8]
/** Of two questions, of a lock that is watched, of a direct link, of what people and programs should know. */
const [MODE, DESCRIBED, ENDED, OPENED, NOTICE, EVENT] = [10, 13, 9, 11, 12, 14]

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

/** How many calls wait for their completion. */
const underWay = () => calls.length - unused.length

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
  outbox.halve(underWay())
  isTaking = true
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
      else if (outcome === ENDED) ended(numbers[at], numbers[at + 2])
      else if (outcome === OPENED) links.attach(numbers[at])
      else if (outcome === NOTICE) notices.tell(...[0, 1, 2].map((n) => text(at, n)))
      else notices.connection(text(at, 0), numbers[at + 2] === 1, text(at, 1))
    }
    if (count < ROOM) break
    texts = native.drain(numbers)
  }
  isTaking = false
  letGo()
}

/** Whether a call ends with this outcome. */
function isEnd(outcome) {
  return (
    outcome !== ASK &&
    outcome !== ENDED &&
    outcome !== OPENED &&
    outcome !== NOTICE &&
    outcome !== EVENT
  )
}

function complete(number, at) {
  const call = calls[number]
  calls[number] = undefined
  unused.push(number)

  const outcome = numbers[at + 1]
  let value = null
  let error
  if (outcome === GRANTED)
    value = call.granted(text(at, 0), numbers[at + 2], numbers[at + 3], numbers[at + 4])
  else if (outcome === YES) value = call.done(numbers[at + 2], numbers[at + 3])
  else if (outcome === NO) value = false
  else if (outcome === HELD)
    value = call.held(text(at, 0), text(at, 1) ?? null, numbers[at + 2], numbers[at + 3])
  else if (outcome === MODE) value = call.mode(text(at, 0))
  else if (outcome === DESCRIBED) value = text(at, 0)
  else if (outcome === FAILED)
    error = failure(
      call.resource,
      [numbers[at + 2], numbers[at + 3]],
      ...[0, 1, 2, 3].map((n) => text(at, n)),
    )

  call.ended?.()
  try {
    if (call.isCancelled) {
      if (outcome === GRANTED) call.giveBack(value)
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
  const length = numbers[at + 5 + index]
  if (length < 0) return undefined
  const start = position
  position += length
  return texts.slice(start, position)
}

function rethrow(thrown) {
  throw thrown
}

/** What is to be told how a lock ends, by the number that Rust tells it with. */
const watchers = new Map()
let nextWatcher = 0

/**
 * Calls `watcher` once, when a lock has ended.
 *
 * @param {number} locker
 * @param {string} id
 * @param {(reason: 'released' | 'taken' | 'over') => void} watcher   must not throw
 */
function watch(locker, id, watcher) {
  const number = nextWatcher
  nextWatcher = (nextWatcher + 1) % 2 ** 32
  watchers.set(number, watcher)
  native.watch(locker, id, number)
}

function ended(number, reason) {
  const watcher = watchers.get(number)
  watchers.delete(number)
  watcher(['released', 'taken', 'over'][reason])
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
 * @param {Record<string, number>} options   of the connection, see `options.js`
 */
function open(settings, options) {
  try {
    return native.open(forNative(settings, options))
  } catch (error) {
    // What Rust finds wrong with settings (a certificate that is none) is the caller's to mend.
    throw new TypeError(error.message, { cause: error })
  }
}

function forNative({ members, credentials, ...plain }, options) {
  return {
    ...plain,
    ...options,
    members: members?.map((member) => forNative(member, options)),
    provider: credentials && providerNumber(credentials),
  }
}

/** Lockers to let go of once what has arrived was gone through: a lock among it may have to go back. */
let closing = []
let isTaking = false

/** Lets go of a locker. */
function close(locker) {
  closing.push(locker)
  if (!isTaking) letGo()
}

function letGo() {
  if (closing.length === 0) return
  outbox.flush()
  for (const locker of closing) native.close(locker)
  closing = []
}

/** Forgets a locker that nobody has any more. */
function drop(locker) {
  native.dropLocker(locker)
}

/** @returns {number} the milliseconds a holder may still believe in its lock */
const remaining = (locker, id) => native.remaining(locker, id)

/** @returns {'held' | 'suspect' | 'lost' | 'gone'} what a holder may know of its lock */
const state = (locker, id) => ['held', 'suspect', 'lost', 'gone'][native.state(locker, id)]

/** @returns {'taken' | 'over'} how a lock ended that is lost */
const loss = (locker, id) => (native.wasTaken(locker, id) ? 'taken' : 'over')

/** @returns {number | undefined} the milliseconds a lock's time to live was last set to */
function ttl(locker, id) {
  const milliseconds = native.ttl(locker, id)
  return milliseconds < 0 ? undefined : milliseconds
}

/** @returns {string} the name of a group of locks: how their ids begin */
const client = (locker, group) => native.client(locker, group)

/** Renews a lock no more. */
const forget = (locker, id) => native.forget(locker, id)

/** @returns {[key: string, id: string][]} the locks that are held in a group */
function held(locker, group) {
  const texts = native.held(locker, group)
  return texts.flatMap((key, at) => (at % 2 === 0 ? [[key, texts[at + 1]]] : []))
}

/** @returns {[held: number, lost: number]} how many locks of a group there are */
const census = (locker, group) => native.census(locker, group)

module.exports = {
  begin,
  calls,
  cancel,
  census,
  client,
  close,
  drop,
  forget,
  held,
  links,
  loss,
  open,
  outbox,
  remaining,
  state,
  ttl,
  underWay,
  watch,
}
