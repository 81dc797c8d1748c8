'use strict'

/** Platforms with a prebuilt addon; each has a package `dist-lock-<platform>` made from `npm/`. */
const PREBUILT = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
]

/** This platform, named as in the addon's file and package: `linux-x64-gnu`. */
function platformName() {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  if (platform === 'win32') return `win32-${arch}-msvc`
  return `${platform}-${arch}`
}

/** Node reports the version of glibc it runs on; there is none where the C library is musl. */
function isMusl() {
  // Without this the report looks up a host name for every open socket.
  process.report.excludeNetwork = true
  return !process.report.getReport().header.glibcVersionRuntime
}

module.exports = { PREBUILT, platformName }
