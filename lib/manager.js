'use strict'

const { Acquire, Extend, ForceRelease, Info, Read, Release } = require('./calls.js')
const { close } = require('./closing.js')
const { dispatch } = require('./dispatch.js')
const engine = require('./engine.js')
const { Stats } = require('./diagnostics/stats.js')
const { isTraced, trace } = require('./diagnostics/tracing.js')
const { closed } = require('./errors.js')
const { lockerFor } = require('./lockers.js')
const option = require('./options.js')
const { AcquireTogether, acquireInTurn, checkResources } = require('./together.js')
const { closeWith } = require('./watch.js')
const { clientIdOf, query } = require('./web/query.js')
const { request } = require('./web/request.js')

/** Tells the locks of one manager from those of another that shares its connection. */
let nextNumber = 0

/** What a manager is made of, for the calls it makes. */
class Manager {
  /** Requests of the web's API that wait or hold. */
  requests = new Set()
  /** How its locks' ids begin, where they are now. */
  clientId = ''
  #options
  /** The lockers its locks may be held in. */
  #lockers = new Set()
  /** Those of before it was closed. */
  #lockersBefore = []
  #locker
  #lockerIs

  /**
   * @param {import('./source.js').Source} source
   * @param {object} options   with defaults filled in, and read again at each call
   */
  constructor(source, options) {
    this.source = source
    this.number = nextNumber
    nextNumber = (nextNumber + 1) % 2 ** 32
    this.isClosed = false
    this.stats = new Stats()
    this.#options = options
    this.locks = api(this)
    closeWith(source)
  }

  /** As version 2 joined them: `null` is "null". */
  keyOf(resource) {
    return option.current(this.#options, 'keyPrefix') + resource
  }

  resourceOf(key) {
    const prefix = String(option.current(this.#options, 'keyPrefix'))
    return key.startsWith(prefix) ? key.slice(prefix.length) : key
  }

  /** What has come of its calls and its locks. */
  tellStats() {
    const isOurs = (call) => call?.manager === this && call.waits
    const sum = { held: 0, lost: 0 }
    for (const locker of [...this.#lockers, ...this.#lockersBefore]) {
      const [held, lost] = engine.census(locker.number, this.number)
      sum.held += held
      sum.lost += lost
    }
    return this.stats.tell(engine.calls.filter(isOurs).length, sum)
  }

  /** Calls on a manager that was closed fail, and so do those whose client was. */
  mustBeOpen(resource) {
    if (this.isClosed) throw closed(resource, 'the manager')
    if (this.source.closed()) throw closed(resource)
  }

  /** The lockers its locks may be held in, and no longer any for new ones. */
  takeLockers() {
    const lockers = [...this.#lockers]
    this.#lockersBefore.push(...lockers)
    this.#lockers.clear()
    this.#locker = this.#lockerIs = undefined
    return lockers
  }

  /** The caller's client may have changed its database or password since the last call. */
  locker() {
    const settings = this.source.settings()
    const is = this.#lockerIs
    if (is?.settings !== settings || !option.isSameConnection(this.#options, is.options)) {
      const options = option.ofConnection(this.#options)
      this.#locker = lockerFor(settings, options)
      this.#use(this.#locker)
      this.#lockerIs = { settings, options }
      this.clientId = engine.client(this.#locker.number, this.number)
    }
    return this.#locker
  }

  #use(locker) {
    if (this.#lockers.has(locker)) return
    this.#lockers.add(locker)
    locker.use()
  }

  /** What one acquire asks for: its own options, or the manager's. */
  acquireRequest(own) {
    for (const name in own) {
      if (!ACQUIRE_OPTIONS.includes(name)) {
        throw new TypeError(
          `Expected the options of acquire to be among ${ACQUIRE_OPTIONS.join(', ')}; got \`${name}\``,
        )
      }
    }
    return this.requestOf(own)
  }

  /** The same of options whose names are known. */
  requestOf(own) {
    const options = this.#options
    const { DEFAULTS, ofCall } = option
    return {
      ttl: option.ttl(ofCall(own?.ttl, options.ttl, DEFAULTS.ttl)),
      retryDelay: option.retryDelay(
        ofCall(own?.retryDelay, options.retryDelay, DEFAULTS.retryDelay),
      ),
      maxRetries: option.maxRetries(
        ofCall(own?.maxRetries, options.maxRetries, DEFAULTS.maxRetries),
      ),
      timeout: option.timeout(own?.timeout),
      autoExtend: option.autoExtend(
        ofCall(own?.autoExtend, options.autoExtend, DEFAULTS.autoExtend),
      ),
      maxHold: option.maxHold(ofCall(own?.maxHold, options.maxHold, DEFAULTS.maxHold)),
      signal: option.signal(own?.signal),
      sharing: own === undefined ? option.ALONE : option.sharing(own),
    }
  }
}

/** The options of one acquire. */
const ACQUIRE_OPTIONS = [
  'owner',
  'ttl',
  'retryDelay',
  'maxRetries',
  'timeout',
  'signal',
  'autoExtend',
  'maxHold',
  'mode',
  'permits',
  'inTurn',
]

/** The methods people call, with the arguments, the validation and the texts of version 2. */
function api(manager) {
  return {
    acquire(resource, owner, callback) {
      if (typeof owner === 'function') {
        callback = owner
        owner = ''
      }
      mustBeCallback(callback)
      const isSeveral = Array.isArray(resource) && resource.length > 0
      if (!isSeveral && !isText(resource)) return refuse(callback, new Error(NAME))

      const own = isOptions(owner) ? owner : undefined
      if (own) owner = own.owner === undefined ? '' : own.owner
      else if (owner === undefined && callback === undefined) owner = ''
      if (typeof owner !== 'string') return refuse(callback, new Error('owner must be a string'))

      let request
      try {
        request = manager.acquireRequest(own)
        if (isSeveral) checkTogether(resource, own)
      } catch (error) {
        return refuse(callback, error)
      }
      if (isSeveral && own?.inTurn === true) {
        const taken = acquireInTurn((one, each) => this.acquire(one, each), resource, own)
        return callback ? void taken.then((locks) => callback(null, locks), callback) : taken
      }
      const call = isSeveral
        ? new AcquireTogether(manager, [...resource], owner, request)
        : new Acquire(manager, resource, owner, request)
      return isTraced() ? trace(call, callback, dispatch) : dispatch(call, callback)
    },

    getAcquiredLock(resource, callback) {
      mustBeCallback(callback)
      if (!isText(resource)) return refuse(callback, new Error(NAME))
      return dispatch(new Read(manager, resource), callback)
    },

    releaseLock(resource, id, callback) {
      mustBeCallback(callback)
      if (!isText(resource)) return refuse(callback, new Error(NAME))
      if (!isText(id)) return refuse(callback, new Error(ID))
      return dispatch(new Release(manager, resource, id), callback)
    },

    extendLock(resource, id, milliseconds, callback) {
      // As in version 2: a callback in the place of the time is no callback.
      if (typeof milliseconds === 'function') mustBeCallback(callback ?? null)
      mustBeCallback(callback)
      if (!isText(resource)) return refuse(callback, new Error(NAME))
      if (!isText(id)) return refuse(callback, new Error(ID))
      if (!milliseconds || typeof milliseconds !== 'number') {
        return refuse(callback, new Error('milliseconds is required and must be a number'))
      }
      return dispatch(new Extend(manager, resource, id, milliseconds), callback)
    },

    forceRelease(resource, callback) {
      mustBeCallback(callback)
      if (!isText(resource)) return refuse(callback, new Error(NAME))
      return dispatch(new ForceRelease(manager, resource), callback)
    },

    request(...args) {
      return request(manager, args)
    },

    query() {
      return query(manager)
    },

    get clientId() {
      return clientIdOf(manager)
    },

    info(callback) {
      mustBeCallback(callback)
      return dispatch(new Info(manager, ''), callback)
    },

    stats() {
      return manager.tellStats()
    },

    close(options) {
      return close(manager, options)
    },

    [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
      return close(manager)
    },
  }
}

/** Several locks are taken at once; shared ones and permits only one after the other. */
function checkTogether(resources, own) {
  checkResources(resources)
  if (own?.inTurn !== true && option.sharing(own ?? {}) !== option.ALONE) {
    throw new TypeError('Expected `mode` and `permits` for several resources only with `inTurn`')
  }
}

const NAME = 'resourceName is required and must be a string'
const ID = 'id is required and must be a string'

function isText(value) {
  return typeof value === 'string' && value !== ''
}

/** An object that is no string, list, date or the like: those were refused as owners before. */
function isOptions(value) {
  return typeof value === 'object' && Object.prototype.toString.call(value) === '[object Object]'
}

function mustBeCallback(callback) {
  if (callback === undefined || typeof callback === 'function') return
  throw new TypeError('callback is not a function')
}

/** Version 2 told the callback before it returned, and returned what the callback did. */
function refuse(callback, error) {
  return callback ? callback(error) : Promise.reject(error)
}

module.exports = { Manager }
