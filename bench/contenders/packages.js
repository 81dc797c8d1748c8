'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { packages } = require('../package-lock.json')
const own = require('../../package.json')
const { OURS, UPGRADED, ORIGINAL } = require('./index.js')

const BENCH = path.join(__dirname, '..')
const ROOT = path.join(BENCH, '..')

/** What a program that uses a contender installs: the library, and the client it goes through. */
const NEEDED = {
  [ORIGINAL]: ['dist-lock-2', 'redis-3'],
  ioredis: ['ioredis'],
  'node-redis': ['redis'],
  'redlock-4': ['redlock-4', 'ioredis'],
  redlock: ['redlock', 'ioredis'],
  'sesamecare-redlock': ['@sesamecare-oss/redlock', 'ioredis'],
  'redis-semaphore': ['redis-semaphore', 'ioredis'],
  'redlock-universal': ['redlock-universal', 'redis'],
  'redlock-universal-ioredis': ['redlock-universal', 'ioredis'],
  'simple-redis-mutex': ['simple-redis-mutex', 'redis'],
  'ioredis-lock': ['@microfleet/ioredis-lock', 'ioredis'],
}

/**
 * What installing a contender takes.
 *
 * @returns {{ packages: number, installed: number }} how many packages, and bytes of their files
 */
function installedSize(contender) {
  const directories = [
    ...new Set((NEEDED[contender] ?? []).flatMap((name) => directoriesOf(name, ''))),
  ]
  const theirs = directories.map((directory) => sizeOf(path.join(BENCH, directory)))
  // Itself, and the addon for the platform, which has a package of its own.
  const ours = [OURS, UPGRADED].includes(contender) ? [sizeOfFiles(), sizeOfAddon()] : []
  const sizes = [...theirs, ...ours]
  return { packages: sizes.length, installed: sizes.reduce((sum, size) => sum + size, 0) }
}

/** Where a package and all that it depends on are, seen from the directory `from`. */
function directoriesOf(name, from, found = []) {
  const directory = resolve(name, from)
  if (directory === undefined || found.includes(directory)) return found
  found.push(directory)
  for (const needed of Object.keys(packages[directory].dependencies ?? {})) {
    directoriesOf(needed, directory, found)
  }
  return found
}

/** As Node.js looks for it: inside, then further and further out. */
function resolve(name, from) {
  const parts = from.split('/node_modules/')
  const places = parts.map((_, index) =>
    parts.slice(0, parts.length - index).join('/node_modules/'),
  )
  return [
    ...places.filter(Boolean).map((place) => `${place}/node_modules/${name}`),
    `node_modules/${name}`,
  ].find((directory) => packages[directory])
}

/** Of the files in a directory; packages inside it are others. */
function sizeOf(file) {
  const stat = fs.lstatSync(file)
  if (!stat.isDirectory()) return stat.size
  return fs
    .readdirSync(file)
    .filter((name) => name !== 'node_modules')
    .reduce((sum, name) => sum + sizeOf(path.join(file, name)), 0)
}

function sizeOfFiles() {
  return ['package.json', 'README.md', 'LICENSE', ...own.files]
    .filter((file) => !file.includes('*'))
    .reduce((sum, file) => sum + sizeOf(path.join(ROOT, file)), 0)
}

/** The one that was built here. */
function sizeOfAddon() {
  return fs
    .readdirSync(ROOT)
    .filter((file) => file.endsWith('.node'))
    .reduce((sum, file) => sum + sizeOf(path.join(ROOT, file)), 0)
}

module.exports = { installedSize }
