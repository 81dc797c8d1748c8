'use strict'

/**
 * A URL, as text or as a URL object:
 *
 *     redis://[[username]:password@]host[:port][/db]   valkey: is the same; rediss:, valkeys: with TLS
 *     redis+sentinel://[[username]:password@]host[:port][,host[:port]…][/db]?name=mymaster
 *     redis+cluster://[[username]:password@]host[:port][,host[:port]…]
 *     unix:///path/to/redis.sock[?db=1]
 *     memory:[name]
 */
module.exports = {
  name: 'URL',
  is: (input) => typeof input === 'string' || isUrl(input),
  read: (input) => parse(typeof input === 'string' ? input : input.href),
}

/** By its shape: a test runner may have a class URL of its own. */
function isUrl(input) {
  return typeof input?.href === 'string' && typeof input.protocol === 'string'
}

const TCP = { 'redis:': false, 'rediss:': true, 'valkey:': false, 'valkeys:': true }

const SENTINEL = {
  'redis+sentinel:': false,
  'rediss+sentinel:': true,
  'valkey+sentinel:': false,
  'valkeys+sentinel:': true,
}

const CLUSTER = {
  'redis+cluster:': false,
  'rediss+cluster:': true,
  'valkey+cluster:': false,
  'valkeys+cluster:': true,
}

function parse(text) {
  const scheme = /^[a-z+]+:/i.exec(text)?.[0].toLowerCase()
  if (scheme === 'memory:') return { memory: text.slice(scheme.length) }
  if (scheme === 'unix:') return unix(text)
  if (scheme in TCP) return tcp(text, TCP[scheme])
  if (scheme in SENTINEL) return sentinel(text, SENTINEL[scheme])
  if (scheme in CLUSTER) return cluster(text, CLUSTER[scheme])
  throw problem(scheme ? `its scheme is ${scheme}` : 'it has no scheme')
}

/** A URL has one host, so each of the list is read in one of its own. */
function hostByHost(text, tls, more) {
  const [, start, hosts, rest] = /^([^/]*\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/s.exec(text) ?? []
  if (!hosts) throw problem('it has no host')
  return hosts.split(',').map((host) => tcp(start + host + rest, tls, more))
}

function cluster(text, tls) {
  const all = hostByHost(text, tls)
  const [{ db, username, password }] = all
  return {
    cluster: all.map(({ host, port, family }) => ({ host, port, family })),
    ...{ db, username, password },
    tls: tls || undefined,
  }
}

function sentinel(text, tls) {
  const all = hostByHost(text, tls, OF_SENTINEL)
  const [{ name, sentinelUsername, sentinelPassword, ...first }] = all
  if (!name) throw problem('it has no parameter `name`')
  return {
    sentinels: all.map(({ host, port, family }) => ({ host, port, family })),
    name,
    sentinelUsername,
    sentinelPassword,
    sentinelTLS: tls || undefined,
    db: first.db,
    username: first.username,
    password: first.password,
    tls: first.tls,
  }
}

const OF_SENTINEL = ['name', 'sentinelUsername', 'sentinelPassword']

function tcp(text, tls, more = []) {
  const { hostname, port, username, password, pathname, searchParams, hash } = url(text)
  if (hostname === '') throw problem('it has no host')
  if (hash) throw problem('it has a part after #, which in a password is written %23')

  const { db, family, ...others } = query(searchParams, ['db', 'family', ...more])
  const path = pathname.replace(/^\//, '')
  if (path && db !== undefined && path !== db) throw problem('it names two databases')
  return {
    host: decode(hostname),
    port: port || undefined,
    family,
    db: path || db,
    username: decode(username),
    password: decode(password),
    tls: tls || undefined,
    ...others,
  }
}

function unix(text) {
  const { hostname, pathname, searchParams } = url(text)
  if (hostname !== '')
    throw problem('a unix socket needs three slashes: unix:///path/to/redis.sock')
  if (pathname.length < 2) throw problem('it has no path')
  // A URL without a host has no place for a user before it.
  const { db, username, password } = query(searchParams, ['db', 'username', 'password'])
  return { path: decode(pathname), db, username, password }
}

function query(params, known) {
  for (const name of params.keys()) {
    if (!known.includes(name)) throw problem(`it has the unknown parameter \`${name}\``)
  }
  return Object.fromEntries(params)
}

// The errors of URL and decodeURIComponent are not passed on: they show the password.

function url(text) {
  try {
    return new URL(text)
  } catch {
    throw problem('it cannot be parsed; special characters in a password are percent-encoded')
  }
}

function decode(part) {
  try {
    return decodeURIComponent(part)
  } catch {
    throw problem('it has a % that is not followed by two hexadecimal digits')
  }
}

function problem(what) {
  return new TypeError(
    `Expected the URL \`source\` to be like redis://user:password@host:6379/0, rediss:, valkey:, valkeys:, redis+sentinel:, redis+cluster:, unix:///path or memory:; ${what}`,
  )
}
