import type * as index from './index'

/** The Web Locks API, over all processes that share the Redis; the words are those of the W3C specification. */
export interface WebLocks {
  /**
   * Holds the lock of a name while `callback` runs, and for as long as the promise that it returns is not
   * settled; renews it meanwhile. Returns what the callback does, after the lock was released and handed on.
   *
   * Those who ask for one name are served in one order, whatever their `mode`. With `ifAvailable` the callback
   * gets `null` when the lock is not free or somebody waits for it.
   *
   * Errors: what the callback throws; the reason of `signal` when it is aborted before the lock is granted; an
   * `AbortError` (a `DOMException`) at once when the lock was stolen or lost, whatever the callback goes on to
   * do; a `TimeoutError` after `timeout`; a `NotSupportedError` for a name that starts with `-` or options
   * that exclude each other; a `TypeError` or `RangeError` for a bad option; a {@link index.LockError} when Redis
   * fails or cannot be reached.
   *
   * @example
   * ```js
   * const total = await locks.request('report', async (lock) => {
   *   lock.signal.addEventListener('abort', stop)
   *   return makeReport({ token: lock.fencingToken })
   * })
   * ```
   */
  request<T>(name: string, callback: (lock: WebLock) => T): Promise<Awaited<T>>
  request<T>(
    name: string,
    options: RequestOptions & { ifAvailable?: false },
    callback: (lock: WebLock) => T,
  ): Promise<Awaited<T>>
  request<T>(
    name: string,
    options: RequestOptions,
    callback: (lock: WebLock | null) => T,
  ): Promise<Awaited<T>>

  /**
   * Tells who holds and who waits, of all locks with this manager's `keyPrefix`, in all processes; those who
   * wait in order. What this manager asked for before is among it. On one server up to 500 names are looked
   * at in one moment, in a Cluster those of one slot. Goes through the keys with `SCAN`: for people and
   * tools, not for each request of a web server.
   *
   * Errors: a {@link index.LockError} when Redis fails or cannot be reached.
   *
   * @example
   * ```js
   * const { held, pending } = await locks.query()
   * console.log(held.length, 'held,', pending.length, 'waiting')
   * ```
   */
  query(): Promise<LockSnapshot>

  /** How the holders and waiters of this manager are named in `query`. */
  readonly clientId: string
}

/** What can be set for one request. */
export interface RequestOptions {
  /**
   * `exclusive`: nobody else holds the lock. `shared`: others may who ask for the same.
   * @default 'exclusive'
   */
  mode?: 'exclusive' | 'shared'

  /**
   * Does not wait.
   * @default false
   */
  ifAvailable?: boolean

  /**
   * Takes the lock from whoever holds it, before all who wait.
   * @default false
   */
  steal?: boolean

  /**
   * Gives up when it is aborted, unless the lock is granted already.
   * @default none
   */
  signal?: index.Signal

  /**
   * Who takes the lock: a text for people to read.
   * @default ''
   */
  owner?: string

  /** How long the lock lives without renewal, in milliseconds; of the manager, if not given. */
  ttl?: number

  /** As in {@link index.Options}. */
  retryDelay?: number

  /**
   * How long to wait, in milliseconds.
   * @default Infinity
   */
  timeout?: number

  /** As in {@link index.Options}. */
  maxHold?: number
}

/** The lock that the callback of a request is given. */
export interface WebLock {
  readonly name: string
  readonly mode: 'exclusive' | 'shared'

  /** As that of {@link index.Lock}. */
  readonly fencingToken: number | undefined

  /** As that of {@link index.Lock}. */
  readonly remaining: number

  /** As that of {@link index.Lock}. */
  readonly signal: index.LossSignal

  /** As that of {@link index.Lock}. */
  extend(milliseconds: number): Promise<boolean>
}

/** What `query` tells. */
export interface LockSnapshot {
  held: HeldLock[]
  pending: PendingLock[]
}

/** Somebody who holds or waits. */
export interface LockInfo {
  name: string
  mode: 'exclusive' | 'shared'

  /** The {@link WebLocks.clientId} of the manager. */
  clientId: string

  /** The text that says who it is. */
  owner: string

  /** With `permits`, how many may hold the lock at once. */
  permits?: number
}

/** Somebody who holds. */
export interface HeldLock extends LockInfo {
  /** Absent where version 2 holds the lock, or there are no tokens. */
  fencingToken?: number

  /** The milliseconds until the lock ends unless it is renewed; absent: never, or not known. */
  remaining?: number
}

/** Somebody who waits. */
export interface PendingLock extends LockInfo {
  /** 1 for the first of the name. */
  position: number

  /** How long it has waited, in milliseconds. */
  age: number
}
