'use strict'

/**
 * Who takes part, in the order of the tables: files of this directory. To add a library, list it in
 * bench/package.json and write one file.
 *
 * @typedef {object} Contender
 * @property {string} name   with its version
 * @property {(url: string) => unknown} open   connects; may return a promise, as all of these may
 * @property {(resource: string) => unknown} acquire   resolves with a lock, or something falsy
 * @property {(lock: any) => unknown} release
 * @property {() => unknown} close
 */

/** The one that the ratios compare with. */
const ORIGINAL = 'dist-lock-2'

const CONTENDERS = ['dist-lock', 'dist-lock-upgraded', ORIGINAL, 'ioredis', 'node-redis']

module.exports = { CONTENDERS, ORIGINAL }
