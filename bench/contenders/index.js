'use strict'

/**
 * Who takes part, in the order of the tables: files of this directory. To add a library, list it in
 * bench/package.json and write one file.
 *
 * @typedef {object} Contender
 * @property {string} name   with its version
 * @property {(url: string) => unknown} open   connects; may return a promise, as all of these may
 * @property {(resource: string) => unknown} acquire   resolves with a lock once it is free, however
 *   long that takes
 * @property {(lock: any) => unknown} release
 * @property {(resource: string, ttl: number) => Promise<Guarded>} [guard]   acquires a lock that
 *   is renewed until it is released; absent where there is no renewal
 * @property {() => unknown} close
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

/** Other libraries. */
const PEERS = [
  'redlock',
  'sesamecare-redlock',
  'redis-semaphore',
  'redlock-universal',
  'simple-redis-mutex',
  'ioredis-lock',
]

const CONTENDERS = [OURS, 'dist-lock-upgraded', ORIGINAL, 'ioredis', 'node-redis', ...PEERS]

module.exports = { CONTENDERS, OURS, ORIGINAL, PEERS }
