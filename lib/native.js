'use strict'

const { PREBUILT, platformName } = require('./platform.js')

const SOURCE =
  '- From source, with Rust: npm run build in a clone, or npm install git+https://github.com/dmcclure/dist-lock.git'

try {
  module.exports = require('../native.js')
} catch (cause) {
  throw explain(cause)
}

/** The loader tries a file, then a package; this says what was wanted and how to get it. */
function explain(cause) {
  const platform = platformName()
  const broken = loadFailures(cause)
  const reason = broken.length > 0 ? unloadable(platform, broken) : missing(platform)

  const error = new Error(`${reason}\n${SOURCE}`)
  error.code = broken.length > 0 ? 'ERR_DLOPEN_FAILED' : 'MODULE_NOT_FOUND'
  error.cause = cause
  return error
}

/** What is wrong with addons that are there, which is all but their absence. */
function loadFailures(error) {
  const failures = []
  for (let cause = error.cause; cause; cause = cause.cause) {
    if (!/^(Cannot find module|Unsupported)/.test(cause.message)) failures.unshift(cause.message)
  }
  return failures
}

function unloadable(platform, failures) {
  return `dist-lock could not load its native addon for ${platform} (Node ${process.version}):
${failures.map((failure) => `  ${failure}`).join('\n')}
- An addon copied from another machine or image may not fit this one: run npm install here.`
}

function missing(platform) {
  if (!PREBUILT.includes(platform)) {
    return `dist-lock has no prebuilt native addon for ${platform}, only for
  ${PREBUILT.join(', ')}.`
  }

  const name = `dist-lock-${platform}`
  const { version } = require('../package.json')
  return `dist-lock found no native addon for ${platform}: the package ${name} is not installed.
- It is an optional dependency: install without --no-optional and --omit=optional.
- node_modules from another system (Alpine is musl, Debian is gnu) lacks it, and so may, by a fault
  of npm, what is installed with a package-lock.json from there: delete both, and npm install here.
- Or add it by name: npm install ${name}@${version}`
}
