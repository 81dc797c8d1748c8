'use strict'

const { channel } = require('node:diagnostics_channel')

/**
 * What others can listen to, with `node:diagnostics_channel`. Without a listener each costs one look.
 * `diagnostics.d.ts` says what is published.
 */
const grant = channel('dist-lock:grant')
const release = channel('dist-lock:release')
const extend = channel('dist-lock:extend')
const lost = channel('dist-lock:lost')
const connection = channel('dist-lock:connection')

/** What `tracingChannel('dist-lock:acquire')` is made of; Node has that function since 18.19 only. */
const acquire = Object.fromEntries(
  ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => [
    name,
    channel(`tracing:dist-lock:acquire:${name}`),
  ]),
)

module.exports = { acquire, connection, extend, grant, lost, release }
