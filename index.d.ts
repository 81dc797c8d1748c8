/// <reference lib="esnext.disposable" />

import type * as diagnostics from './diagnostics'
import type * as source from './source'
import type * as web from './web-locks'

/**
 * Makes a lock manager: at any moment, at most one holder per resource among all processes that
 * use the same Redis.
 *
 * Nothing connects before the first call, and commands never go through the client given here: its
 * settings are read and connections of our own are opened with them. Managers with equal settings
 * share these: one in each thread, and one more for calls that wait.
 *
 * Where Redis may drop locks because its memory is full, a process warning says so, once:
 * `DistLockWarning` with the code `DIST_LOCK_EVICTION`.
 *
 * Throws a `TypeError` for a source that cannot be read. Options are checked by the calls that use
 * them.
 *
 * @example
 * ```js
 * const locks = distLock('redis://localhost:6379')
 *
 * const lock = await locks.acquire('invoice:42', { timeout: 5000 })
 * if (!lock) throw new Error('somebody else has been at invoice 42 for 5 seconds')
 * try {
 *   // Nobody else holds invoice:42 now, for 30 seconds at most.
 * } finally {
 *   await lock.release()
 * }
 * ```
 *
 * @example
 * ```js
 * // As in version 2: a client and callbacks.
 * const locks = distLock(createClient())
 *
 * locks.acquire('invoice:42', 'worker 7', (error, lock) => {
 *   if (error) throw error
 *   if (lock) lock.release((error, released) => console.log(released))
 * })
 * ```
 */
declare const distLock: distLock.DistLockFactory

declare namespace distLock {
  interface DistLockFactory {
    (source: Source, options?: Options): DistLock
    new (source: Source, options?: Options): DistLock

    /** The class of {@link LockError}, for `instanceof`. */
    readonly LockError: LockErrorClass

    /** The class of {@link LockLostError}, for `instanceof`. */
    readonly LockLostError: LockLostErrorClass
  }

  /** A lock manager. Its methods also work when taken off it. */
  interface DistLock extends web.WebLocks {
    /**
     * Acquires the lock of a resource, and waits for it while somebody else holds it. Those who wait
     * are handed the lock in the order they came, over all processes.
     *
     * Returns the lock, or `false` when it was still taken after `maxRetries` or `timeout`; without
     * these limits it waits for as long as it takes. `owner` is a text for people to read, `''` if
     * none is given. Whoever gets no lock leaves none behind.
     *
     * Errors: an `Error` for a bad argument, a `TypeError` or `RangeError` for a bad option, a
     * {@link LockError} when Redis fails or cannot be reached, and the reason of `signal` when it is
     * aborted.
     *
     * @example
     * ```js
     * const lock = await locks.acquire('invoice:42', 'worker 7')
     * if (lock) console.log('after', lock.acquireDelay, 'ms')
     * ```
     */
    acquire(resource: string, owner?: string): Promise<Lock | false>
    acquire(resource: string, options: AcquireOptions): Promise<Lock | false>
    acquire(resource: string, callback: Callback<Lock | false>): void
    acquire(resource: string, owner: string, callback: Callback<Lock | false>): void
    acquire(resource: string, options: AcquireOptions, callback: Callback<Lock | false>): void

    /**
     * Acquires the locks of several resources at once, or none: while one is taken, nothing is held. All have the
     * same fencing token. In a Cluster their keys must lie in one slot (the same `{tag}` in their names), or
     * the call fails with `ERR_LOCK_CROSS_SLOT`; with `inTurn` they may lie anywhere.
     *
     * Since it neither holds nor keeps one free while another is taken, it gets them only at a moment when all are
     * free, and goes to the end of the queue of the one that is not: where others always wait for two of them, that
     * may be never. `inTurn` gets them in its turn.
     *
     * Returns the locks, or `false` when one was still taken after `maxRetries` or `timeout`.
     *
     * Errors: as above, and a `TypeError` for a name that comes twice.
     *
     * @example
     * ```js
     * const both = await locks.acquire(['account:1', 'account:2'])
     * ```
     */
    acquire(resources: readonly string[], options?: TogetherOptions): Promise<Locks | false>
    acquire(resources: readonly string[], owner: string): Promise<Locks | false>
    acquire(resources: readonly string[], callback: Callback<Locks | false>): void
    acquire(
      resources: readonly string[],
      options: TogetherOptions,
      callback: Callback<Locks | false>,
    ): void

    /**
     * Releases the lock of a resource, given its id: in any process, with or without the
     * {@link Lock} itself.
     *
     * Returns `true`, or `false` when the lock with this id is over: released or expired. The lock
     * of a later holder has another id and stays.
     *
     * Errors: an `Error` for a bad argument, a {@link LockError} when Redis fails or cannot be
     * reached.
     *
     * @example
     * ```js
     * const released = await locks.releaseLock('invoice:42', id)
     * ```
     */
    releaseLock(resource: string, id: string): Promise<boolean>
    releaseLock(resource: string, id: string, callback: Callback<boolean>): void

    /**
     * Lets the lock of a resource, given its id, live for `milliseconds` from now.
     *
     * Returns `true`, or `false` when the lock with this id is over: released or expired. Then
     * somebody else may hold the resource already.
     *
     * Errors: an `Error` for a bad argument, a {@link LockError} when Redis fails or cannot be
     * reached.
     *
     * @example
     * ```js
     * const extended = await locks.extendLock('invoice:42', id, 60000)
     * ```
     */
    extendLock(resource: string, id: string, milliseconds: number): Promise<boolean>
    extendLock(
      resource: string,
      id: string,
      milliseconds: number,
      callback: Callback<boolean>,
    ): void

    /**
     * Tells who holds a resource at the moment.
     *
     * Returns the lock's details, with which it can be released and extended, or `null` when nobody
     * holds it.
     *
     * Errors: an `Error` for a bad argument, a {@link LockError} when Redis fails or cannot be
     * reached.
     *
     * @example
     * ```js
     * const details = await locks.getAcquiredLock('invoice:42')
     * if (details) console.log('held by', details.owner)
     * ```
     */
    getAcquiredLock(resource: string): Promise<LockDetails | null>
    getAcquiredLock(resource: string, callback: Callback<LockDetails | null>): void

    /**
     * Releases the lock of a resource, whoever holds it, for the first of those who wait, and tells the
     * holders: their `signal` fires. Later holders have larger fencing tokens, so whoever goes on as if it
     * held the lock can be refused. For people who clear up, not for programs.
     *
     * Returns `true`, or `false` when nobody held it.
     *
     * Errors: an `Error` for a bad argument, a {@link LockError} when Redis fails or cannot be
     * reached, or has no queue. With `ERR_LOCK_UNKNOWN` the answer was lost: look who holds the lock before
     * you try again, it may be the next already.
     *
     * @example
     * ```js
     * await locks.forceRelease('invoice:42')
     * ```
     */
    forceRelease(resource: string): Promise<boolean>
    forceRelease(resource: string, callback: Callback<boolean>): void

    /**
     * Tells how waiting works with this server and this user; connects to find out.
     *
     * Returns `{ mode: 'queue' }`, or `{ mode: 'classic', reason }` where there can be no queue (old or
     * restricted servers, and lists of servers): then waiters try again every `retryDelay`, as in
     * version 2, and locks have no fencing token. In a Redis Cluster there is `cluster: true` too, and
     * `classic` means that some node has no queue.
     *
     * Errors: a {@link LockError} when Redis cannot be reached.
     *
     * @example
     * ```js
     * const { mode, reason } = await locks.info()
     * if (mode === 'classic') console.warn('no queue:', reason)
     * ```
     */
    info(): Promise<Info>
    info(callback: Callback<Info>): void

    /**
     * Counts what has come of the calls and the locks of this manager, with histograms of how long
     * they waited and were held. Asks nobody, so it can be called as often as wanted.
     *
     * @example
     * ```js
     * const { waiting, held, lost, wait } = locks.stats()
     * console.log(waiting, held, lost, wait.sum / wait.count)
     * ```
     */
    stats(): Stats

    /**
     * Ends the manager: who waits gets `ERR_LOCK_CLOSED`, later calls too, and its locks are renewed
     * no more. What it holds lives until its `ttl` ends, unless `release` is set.
     *
     * Fulfilled when that is done; rejects with a {@link LockError} when a release failed. A second
     * call does nothing.
     *
     * @example
     * ```js
     * process.once('SIGTERM', async () => {
     *   await locks.close({ release: true })
     *   process.exit()
     * })
     * ```
     */
    close(options?: CloseOptions): Promise<void>

    /** `close()`, at the end of a block that begins with `await using locks = distLock(…)`. */
    [Symbol.asyncDispose](): Promise<void>
  }

  /** Several locks that were acquired together. */
  interface Locks extends Pick<
    Lock,
    | 'owner'
    | 'acquiredOnAttempt'
    | 'acquireDelay'
    | 'fencingToken'
    | 'remaining'
    | 'state'
    | 'signal'
  > {
    /** Each of them, in the order of the resources. */
    readonly locks: Lock[]

    readonly resource: string[]
    readonly key: string[]

    /** Releases all; `true` when all were still held. */
    release(): Promise<boolean>

    /** Lets all live for `milliseconds` from now; `true` when all were still held. */
    extend(milliseconds: number): Promise<boolean>

    [Symbol.asyncDispose](): Promise<void>
  }

  /** What can be set for one acquire of several resources. */
  interface TogetherOptions extends AcquireOptions {
    /**
     * Takes them one after the other in the order of their names, and holds those it has meanwhile, so that it
     * waits no longer than the queue of each; needed where they do not lie in one slot of a Cluster, or there is
     * no queue.
     * @default false
     */
    inTurn?: boolean
  }

  /** What `info` tells. */
  interface Info {
    /** `queue`: waiters are handed the lock. `classic`: they try again and again. */
    mode: 'queue' | 'classic'

    /** With `classic`, what stands in the way of a queue, as the server said it. */
    reason?: string

    /** Whether the locks are in a Redis Cluster. */
    cluster?: true
  }

  /** What can be set for one `close`. */
  interface CloseOptions {
    /**
     * Whether to release the locks that were acquired through this manager and are still held.
     * @default false
     */
    release?: boolean
  }

  /** A lock as it stands in Redis, held by this process or another. */
  interface LockDetails {
    /** The key in Redis: `keyPrefix` and the resource. */
    key: string

    /** What proves that a lock is this one: unguessable, and new with every acquire. */
    id: string

    /** What was given to `acquire`; `null` only where something else wrote the key. */
    owner: string | null

    /**
     * Releases the lock. Works when taken off the lock.
     *
     * Returns `true`, or `false` when the lock was over already: released or expired.
     *
     * Errors: a {@link LockError} when Redis fails or cannot be reached. The lock then ends with
     * its `ttl`.
     *
     * @example
     * ```js
     * if (!(await lock.release())) console.warn('the work took longer than the lock lived')
     * ```
     */
    release(): Promise<boolean>
    release(callback: Callback<boolean>): void

    /**
     * Lets the lock live for `milliseconds` from now. Works when taken off the lock.
     *
     * Returns `true`, or `false` when the lock is over: released or expired. Then stop: somebody
     * else may hold the resource already.
     *
     * Errors: an `Error` for a bad argument, a {@link LockError} when Redis fails or cannot be
     * reached.
     *
     * @example
     * ```js
     * if (!(await lock.extend(30000))) throw new Error('lost the lock')
     * ```
     */
    extend(milliseconds: number): Promise<boolean>
    extend(milliseconds: number, callback: Callback<boolean>): void

    /** The resource that was given to `acquire` or `getAcquiredLock`. Not enumerable, like what follows. */
    readonly resource: string

    /** Its fencing token; `undefined` where version 2 holds the lock, or there is no queue. */
    readonly fencingToken: number | undefined

    /** The milliseconds until it ends unless it is extended, as Redis said when it was asked; 0 where that is not known. */
    readonly remaining: number
  }

  /** A lock that `acquire` got. */
  interface Lock extends LockDetails {
    owner: string

    /** How many tries it took; 1 when nobody was in the way. */
    acquiredOnAttempt: number

    /** How long it took, in milliseconds. */
    acquireDelay: number

    /**
     * A number larger than that of every earlier holder of the resource. Send it along with what the
     * lock guards, and have the other side refuse a smaller one than it has seen: that alone stops a
     * holder that was paused until its lock was over. `undefined` where there is no queue, see
     * {@link DistLock.info}.
     */
    readonly fencingToken: number | undefined

    /** How long the lock was last set to live, in milliseconds; `undefined` once it is over. */
    readonly ttl: number | undefined

    /**
     * For how many milliseconds the lock is certainly still held; 0 when it is over. Counted from
     * before the request that proved it was sent, less 1 % and 2 ms; right even when the event loop
     * was blocked or the machine slept.
     */
    readonly remaining: number

    /**
     * - `held`: proven ours.
     * - `suspect`: Redis could not be asked to renew it, but there is time left.
     * - `lost`: gone, or its time is over. Somebody else may hold the resource.
     * - `released`: by this object's `release`.
     */
    readonly state: 'held' | 'suspect' | 'lost' | 'released'

    /**
     * Aborted with a {@link LockLostError} when the lock is lost, at the latest when `remaining` comes
     * to 0, with or without a network; not when it is released. Give it to what the lock guards.
     *
     * @example
     * ```js
     * await fetch(url, { signal: lock.signal })
     * ```
     */
    readonly signal: LossSignal

    /** Releases the lock at the end of a block that begins with `await using lock = …`. */
    [Symbol.asyncDispose](): Promise<void>
  }

  /**
   * How a call answers where no promise is wanted: `(error)` or `(null, value)`, once, and never
   * before the call has returned, except for a bad argument.
   */
  type Callback<T> = (
    ...outcome: [error: Error, value: undefined] | [error: null, value: T]
  ) => void

  /**
   * What can be set for a manager. The object is read at each call, so a change of it counts from
   * then on; `ttl`, `retryDelay`, `maxRetries` and `keyPrefix` are filled in where they are missing.
   */
  interface Options {
    /**
     * How long a lock lives unless released or extended, in whole milliseconds.
     * Longer survives slow work; shorter frees a crashed holder's lock sooner.
     * @default 30000
     */
    ttl?: number

    /**
     * How long to wait between two tries for a lock whose holder tells nobody when it is free, in
     * milliseconds: one of version 2, or any where there is no queue. And the unit of `maxRetries`.
     * Shorter notices sooner that it is free; longer costs Redis fewer commands.
     * @default 50
     */
    retryDelay?: number

    /**
     * How often `retryDelay` passes before `acquire` answers `false`; -1 for no limit, 0 to try once.
     * To limit the time instead, use `timeout` of `acquire`.
     * @default -1
     */
    maxRetries?: number

    /**
     * What goes before the resource in the name of its key.
     * Only managers with the same prefix exclude each other.
     * @default 'lock:'
     */
    keyPrefix?: string

    /**
     * How long a call bears having no connection before it fails with `ERR_LOCK_UNREACHABLE`, in
     * milliseconds.
     * Longer survives a restart of Redis; shorter fails sooner when it is down.
     * @default 10000
     */
    connectTimeout?: number

    /**
     * How long one command may wait for its reply before it counts as lost, in milliseconds.
     * Longer survives a slow Redis; shorter notices sooner that it hangs.
     * @default 5000
     */
    commandTimeout?: number

    /**
     * With a list of servers, how long one of them is waited for while the others cannot decide, in
     * milliseconds; never longer than a fifth of the `ttl`.
     * Longer bears slower servers; shorter decides sooner while one hangs.
     * @default 500
     */
    nodeTimeout?: number

    /**
     * For how long no lock is granted after another server took over (another primary, or one that was
     * started again), in milliseconds: that one may not know of locks that are held. Calls wait that
     * long; those that may not fail with `ERR_LOCK_UNREACHABLE`, and nobody is told that a lock is taken.
     * Locks that are held stay so if the new server knows them.
     * As long as the longest `ttl`, it keeps this process from taking what another still believes to
     * hold, if it has noticed the change; 0 is back at work at once.
     * @default 0
     */
    failoverSettleTime?: number

    /**
     * How many replicas must have a lock before `acquire` gives it, and an extension before it counts
     * (`WAIT`). With fewer the call fails with `ERR_LOCK_NOT_REPLICATED` and the lock is released.
     * A failover to one of them then knows the lock; each grant takes a round trip to them longer, and
     * goes over a connection that only managers with the same number share.
     * @default 0
     */
    minReplicas?: number

    /**
     * How long replicas may take to have a lock, in milliseconds.
     * Longer bears slow replicas; shorter fails sooner, and lets those who come behind go on.
     * @default 1000
     */
    replicaTimeout?: number

    /**
     * Whether locks are renewed until they are released: at a third of their `ttl`, by a thread that
     * a blocked event loop does not stop. Ends with the process, with the manager, or when nobody has
     * the lock object any more.
     * Keeps slow work safe; a holder that hangs keeps the lock, see `maxHold`.
     * @default false
     */
    autoExtend?: boolean

    /**
     * How long a lock is held at most under `autoExtend`, in milliseconds.
     * Shorter frees the lock of a holder that hangs sooner; it must be longer than the work takes.
     * @default Infinity
     */
    maxHold?: number
  }

  /** What can be set for one `acquire`; the first five are the manager's where they are missing. */
  interface AcquireOptions extends Pick<
    Options,
    'ttl' | 'retryDelay' | 'maxRetries' | 'autoExtend' | 'maxHold'
  > {
    /**
     * Who takes the lock: a text for people to read, that need not be unique.
     * @default ''
     */
    owner?: string

    /**
     * `exclusive`: nobody else holds the lock. `shared`: others may who ask for the same. Those who wait are
     * served in one order, whatever their mode. Takes a server with a queue.
     * @default 'exclusive'
     */
    mode?: 'exclusive' | 'shared'

    /**
     * So many may hold the lock at once, from 1 on, each with an `id` and a token of its own. All must say
     * the same number, or the call fails with `ERR_LOCK_PERMITS`. Not with `mode`. Takes a server with a queue.
     * @default none
     */
    permits?: number

    /**
     * How long to try, in milliseconds; 0 tries once. The call ends on time whatever Redis does:
     * with `false` if the lock was taken, with an error if Redis did not answer.
     * Of `timeout` and `maxRetries`, the one that ends first counts.
     * @default Infinity
     */
    timeout?: number

    /**
     * Gives up when it is aborted: the call fails with the signal's reason.
     * @default none
     */
    signal?: Signal
  }

  /** The global `AbortSignal`, or as much of it as is needed where there are no types for that. */
  type LossSignal = typeof globalThis extends { AbortSignal: { prototype: infer T } } ? T : Signal

  /** An `AbortSignal`. */
  interface Signal {
    readonly aborted: boolean
    readonly reason?: any
    addEventListener(type: 'abort', listener: () => void): void
    removeEventListener(type: 'abort', listener: () => void): void
  }

  /** Where the locks are: a client, a URL or settings; see `source.d.ts`. */
  type Source = source.Source
  type Client = source.Client
  type Settings = source.Settings
  type Credentials = source.Credentials
  type TlsSettings = source.TlsSettings

  /** The Web Locks API; see `web-locks.d.ts`. */
  type RequestOptions = web.RequestOptions
  type WebLock = web.WebLock
  type LockSnapshot = web.LockSnapshot
  type LockInfo = web.LockInfo
  type HeldLock = web.HeldLock
  type PendingLock = web.PendingLock

  /** What `stats` tells, and what is published on the diagnostics channels; see `diagnostics.d.ts`. */
  type Stats = diagnostics.Stats
  type Histogram = diagnostics.Histogram
  type AcquireContext = diagnostics.AcquireContext
  type GrantMessage = diagnostics.GrantMessage
  type ReleaseMessage = diagnostics.ReleaseMessage
  type ExtendMessage = diagnostics.ExtendMessage
  type LostMessage = diagnostics.LostMessage
  type ConnectionMessage = diagnostics.ConnectionMessage

  /**
   * Redis failed, or there was no way to ask it. A taken lock is never an error.
   *
   * @example
   * ```js
   * try {
   *   await locks.acquire('invoice:42')
   * } catch (error) {
   *   if (error instanceof LockError && error.code === 'ERR_LOCK_UNREACHABLE') {
   *     console.error('Redis is down', error.cause)
   *   } else throw error
   * }
   * ```
   */
  interface LockError extends Error {
    name: 'LockError'

    /** What happened. Codes stay as they are between versions, messages may change. */
    code: LockErrorCode

    /** The resource of the call, if it had one. */
    resource?: string

    /** With `ERR_LOCK_REDIS`, the first word of what Redis said: `NOAUTH`, `READONLY`, `OOM`, … */
    redisCode?: string

    /** With `ERR_LOCK_NOT_REPLICATED`, how many replicas should have it. */
    wanted?: number

    /** With `ERR_LOCK_NOT_REPLICATED`, how many have it; 0 as well where nobody knows. */
    got?: number

    /** The error underneath, if there is one. */
    cause?: unknown
  }

  /**
   * - `ERR_LOCK_UNREACHABLE`: there was no connection within `connectTimeout` or `timeout`; nothing
   *   was sent.
   * - `ERR_LOCK_UNKNOWN`: sent, but no reply: it may have been done or not. An acquire that ends
   *   like this is undone as soon as Redis answers again.
   * - `ERR_LOCK_REDIS`: Redis answered with an error, see `redisCode`.
   * - `ERR_LOCK_UNSUPPORTED`: Redis does not know a command that every lock takes: `EVAL`, or the one that
   *   the message names. Or there is no queue (see `info`), without which no lock is shared or stolen.
   * - `ERR_LOCK_CROSS_SLOT`: locks that were to be taken at once lie in different slots of a Cluster.
   * - `ERR_LOCK_PERMITS`: others hold the lock, or wait for it, with another number of `permits`, or share it
   *   without one.
   * - `ERR_LOCK_NOT_REPLICATED`: fewer replicas than `minReplicas` have it, see `wanted` and `got`. A
   *   lock that was to be acquired is released; one that was to be extended is believed in no longer
   *   than before.
   * - `ERR_LOCK_CLOSED`: the manager, or the client that it was made from, has been closed.
   * - `ERR_LOCK_LOST`: a lock that was held is over; see {@link LockLostError}.
   */
  type LockErrorCode =
    | 'ERR_LOCK_UNREACHABLE'
    | 'ERR_LOCK_UNKNOWN'
    | 'ERR_LOCK_REDIS'
    | 'ERR_LOCK_NOT_REPLICATED'
    | 'ERR_LOCK_UNSUPPORTED'
    | 'ERR_LOCK_CROSS_SLOT'
    | 'ERR_LOCK_PERMITS'
    | 'ERR_LOCK_CLOSED'
    | 'ERR_LOCK_LOST'

  /** The reason of `lock.signal`: the lock is gone, or can no longer be proved to be held. */
  interface LockLostError extends Omit<LockError, 'name'> {
    name: 'LockLostError'
    code: 'ERR_LOCK_LOST'
  }

  interface LockErrorClass {
    new (
      message: string,
      details: {
        code: LockErrorCode
        resource?: string
        redisCode?: string
        wanted?: number
        got?: number
        cause?: unknown
      },
    ): LockError
    readonly prototype: LockError
  }

  interface LockLostErrorClass {
    new (resource: string, reason: 'taken' | 'over'): LockLostError
    readonly prototype: LockLostError
  }
}

export = distLock
