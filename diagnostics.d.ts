/**
 * What `locks.stats()` tells, and what is published on the diagnostics channels:
 *
 * ```
 * dist-lock:grant      GrantMessage        an acquire got its lock
 * dist-lock:release    ReleaseMessage      a release was answered, or failed
 * dist-lock:extend     ExtendMessage       an extend was answered, or failed
 * dist-lock:lost       LostMessage         a lock ended without being released
 * dist-lock:connection ConnectionMessage   a server is reached, or is not any more
 *
 * tracing:dist-lock:acquire:start, :end, :asyncStart, :asyncEnd, :error     AcquireContext
 * ```
 *
 * The last five are Node's tracing channel `dist-lock:acquire`: around each acquire, waiting included.
 * A bad argument is refused before that. Messages are plain data. None has the `id` of a lock, with
 * which anybody could release it: `key` and `fencingToken` tell locks apart. A channel that nobody
 * listens to costs nothing worth measuring.
 */

/** What is published on `dist-lock:grant`. */
export interface GrantMessage {
  /** The resource that was given to `acquire`. */
  resource: string

  /** Its key in Redis. */
  key: string

  /** Who has it, as given to `acquire`. */
  owner: string

  /** Its fencing token; `undefined` where there is no queue. */
  fencingToken: number | undefined

  /** How long it lives unless released or extended, in milliseconds. */
  ttl: number

  /** How many tries it took. */
  attempts: number

  /** How long it took, in milliseconds. */
  waited: number
}

/** What is published on `dist-lock:release`. */
export interface ReleaseMessage {
  /** The resource. */
  resource: string

  /** Its key in Redis. */
  key: string

  /** The fencing token of the lock that was released, if it was acquired in this process. */
  fencingToken: number | undefined

  /** `over`: the lock was gone already. `failed`: nobody knows, see `error`. */
  outcome: 'released' | 'over' | 'failed'

  /** For how long it was held, in milliseconds, if it was acquired in this process. */
  held: number | undefined

  /** With `failed`, what the caller gets. */
  error?: unknown
}

/** What is published on `dist-lock:extend`. What `autoExtend` does by itself is not. */
export interface ExtendMessage {
  /** The resource. */
  resource: string

  /** Its key in Redis. */
  key: string

  /** The fencing token of the lock that was extended, if it was acquired in this process. */
  fencingToken: number | undefined

  /** `over`: the lock was gone already. `released`: there was no time in `ttl`. `failed`: see `error`. */
  outcome: 'extended' | 'released' | 'over' | 'failed'

  /** How long it was to live, in milliseconds. */
  ttl: number

  /** With `failed`, what the caller gets. */
  error?: unknown
}

/** What is published on `dist-lock:lost`, of locks that were acquired since somebody listens to it. */
export interface LostMessage {
  /** The resource that was given to `acquire`. */
  resource: string

  /** Its key in Redis. */
  key: string

  /** Who had it. */
  owner: string

  /** Its fencing token; `undefined` where there is no queue. */
  fencingToken: number | undefined

  /** For how long it was held, in milliseconds. */
  held: number

  /** `taken`: Redis does not know it any more. `over`: its time is, and nobody can say more. */
  reason: 'taken' | 'over'
}

/** What is published on `dist-lock:connection`, in every thread, when a server's state changes. */
export interface ConnectionMessage {
  /** Its host and port, or its path. */
  server: string

  /** `disconnected`: a connection broke, or none can be opened; it is tried again when it is needed. */
  state: 'connected' | 'disconnected'

  /** With `disconnected`, why. */
  reason: string | undefined
}

/** The context of the tracing channel `dist-lock:acquire`: one object for all events of a call. */
export interface AcquireContext {
  /** The resource that was given to `acquire`. */
  resource: string

  /** Its key in Redis. */
  key: string

  /** Who wants it. */
  owner: string

  /** How long it is to live, in milliseconds. */
  ttl: number

  /** From `asyncStart` on, unless it failed: the lock, or `false` if it was taken. */
  result?: GrantMessage | false

  /** From `error` on: what the caller gets. */
  error?: unknown
}

/** What `stats` tells: of this manager, since it was made. */
export interface Stats {
  /** Calls of `acquire` that got the lock. */
  acquired: number

  /** Calls of `acquire` that answered `false`. */
  taken: number

  /** Calls of `acquire` that failed. */
  failed: number

  /** Calls of `acquire` whose `signal` was aborted. */
  aborted: number

  /** Calls of `acquire` that have not ended. */
  waiting: number

  /** Releases that answered `true`. */
  released: number

  /** Extends that answered `true`; what `autoExtend` does is not counted. */
  extended: number

  /** Locks acquired here whose time was over, or that were gone, before they were released. */
  lost: number

  /** Locks acquired here that are held now. */
  held: number

  /** How long calls of `acquire` took that got the lock. */
  wait: Histogram

  /** How long locks were held that were acquired and released in this process. */
  hold: Histogram
}

/** How often times were met, in milliseconds. */
export interface Histogram {
  /**
   * The upper bounds of the buckets, each included: 1, 2, 5, 10, 20, 50 and so on up to 1,000,000
   * (17 minutes). They do not change.
   */
  bounds: number[]

  /** How many times fell into each bucket; there is one more than bounds, for what is longer. */
  counts: number[]

  /** How many there were in all. */
  count: number

  /** What they come to in all. */
  sum: number
}
