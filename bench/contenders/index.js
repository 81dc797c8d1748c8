'use strict'

/**
 * Who takes part, in the order of the tables: files of this directory. To add a library, list it in
 * bench/package.json and write one file.
 *
 * @typedef {object} Contender
 * @property {string} name   with its version
 * @property {(url: string) => unknown} open   connects; may return a promise, as all of these may
 * @property {(resource: string) => Promise<unknown>} [acquireAndRelease]   in place of both, where they
 *   are one call
 * @property {(resource: string) => unknown} acquire   resolves with a lock once it is free, however
 *   long that takes
 * @property {(lock: any) => unknown} release
 * @property {(resource: string, ttl: number) => Promise<Guarded>} [guard]   acquires a lock that
 *   is renewed until it is released; absent where there is no renewal
 * @property {() => unknown} close
 * @property {(workload: object) => Promise<object>} [measure]   in place of `tasks/free.js`, where
 *   acquire and release are not to be had one by one
 *
 * @typedef {object} Guarded
 * @property {() => boolean} isHeld   what the library says, without asking Redis
 * @property {() => number} [remaining]   for how long, in milliseconds, where it says that
 * @property {() => unknown} release
 */

/** This package. */
const OURS = 'dist-lock'

/** The one that the ratios compare with. */
const ORIGINAL = 'dist-lock-2'

/** No library, only a client: floors. */
const FLOORS = ['ioredis', 'node-redis']

/** No Node.js either: what is left when only Rust and Redis work. */
const BARE = 'bare-rust'

/** Neither lock nor Redis: what the promises alone take. */
const PROMISES = 'promises'

/** Other libraries. */
const PEERS = [
  'redlock-4',
  'redlock',
  'sesamecare-redlock',
  'redis-semaphore',
  'redlock-universal',
  'redlock-universal-ioredis',
  'simple-redis-mutex',
  'ioredis-lock',
]

/** Those of them that renew a lock. */
const RENEWING = [
  'redlock',
  'sesamecare-redlock',
  'redis-semaphore',
  'redlock-universal',
  'redlock-universal-ioredis',
]

/** This package in a program that was written for the original. */
const UPGRADED = 'dist-lock-upgraded'

/** This package by the Web Locks API: next to itself. */
const REQUEST = 'dist-lock-request'

/** This package, for locks that several hold at once: next to itself alone. */
const [SHARED, PERMITS] = ['dist-lock-shared', 'dist-lock-permits']

const CONTENDERS = [OURS, UPGRADED, ORIGINAL, ...FLOORS, BARE, PROMISES, ...PEERS]

module.exports = {
  CONTENDERS,
  OURS,
  UPGRADED,
  REQUEST,
  SHARED,
  PERMITS,
  ORIGINAL,
  FLOORS,
  BARE,
  PROMISES,
  PEERS,
  RENEWING,
}
