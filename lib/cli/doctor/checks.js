'use strict'

const { inWords } = require('../duration.js')

/**
 * What the facts mean for locks, and what to do about it.
 *
 * @typedef {object} Finding
 * @property {string} name
 * @property {'ok' | 'note' | 'warning' | 'problem'} level
 *   a `problem` costs somebody a lock, a `warning` may in bad times, a `note` is good to know
 * @property {string} message
 * @property {string} [advice]
 */

const ok = (message) => ({ level: 'ok', message })
const note = (message, advice) => ({ level: 'note', message, advice })
const warning = (message, advice) => ({ level: 'warning', message, advice })
const problem = (message, advice) => ({ level: 'problem', message, advice })

/** What the queue takes, besides the keys of the locks; `docs/deployments.md` has the whole line. */
const RIGHTS =
  '~dist-lock:* &dist-lock:* +eval +evalsha +subscribe +publish +time +exists +get +set +del +hset ' +
  '+hget +hgetall +hlen +hdel +hmget +pexpire +pttl +zadd +zrem +zscore +zrangebyscore ' +
  '+zremrangebyscore'

/** @type {[name: string, check: (facts: import('./facts.js').Facts) => Omit<Finding, 'name'> | undefined][]} */
const CHECKS = [
  ['server', server],
  ['role', role],
  ['queue', queue],
  ['hand-off', handoff],
  ['latency', latency],
  ['eviction', eviction],
  ['memory', memory],
  ['persistence', persistence],
  ['replication', replication],
  ['clients', clients],
  ['clock', clock],
]

/** @returns {Finding[]} */
function check(facts) {
  const findings = CHECKS.map(([name, check]) => ({ name, ...check(facts) }))
  return findings.filter(({ level }) => level !== undefined)
}

function server({ info, refusal, connecting }) {
  const answered = `answered after ${inWords(connecting)}`
  if (refusal !== undefined) {
    return note(
      `${answered}; it does not say more to this user`,
      'Allow it +info (or run doctor as another user) to have memory, persistence and replication checked.',
    )
  }
  if (info === undefined) return ok('a store in this process')
  const name = info.valkey_version ? `Valkey ${info.valkey_version}` : `Redis ${info.redis_version}`
  const mode = info.redis_mode ? `, ${info.redis_mode}` : ''
  const uptime = inWords(Number(info.uptime_in_seconds) * 1000)
  return ok(`${name}${mode}, up for ${uptime}; ${answered}`)
}

function role({ info }) {
  if (info?.role === undefined || info.role === 'master') return
  return problem(
    `this server is a ${info.role === 'slave' ? 'replica' : info.role}: no lock can be taken here`,
    'Connect to the primary.',
  )
}

function queue({ mode }) {
  if (mode === undefined) return
  if (mode.mode === 'queue') return ok('waiters are handed the lock in order of arrival')
  const isOld = mode.reason.includes('non deterministic')
  return warning(
    `no queue, and no fencing tokens; waiters try again and again: ${mode.reason}`,
    isOld ? 'Use Redis 5 or newer, or Valkey.' : `Allow the user what the queue takes: ${RIGHTS}`,
  )
}

/** Above this a message was lost, and a beat found out. */
const SLOW_HANDOFF = 500

function handoff({ handoff }) {
  if (handoff === undefined) return
  const message = `the next one has the lock ${milliseconds(handoff)} after its release`
  if (handoff < SLOW_HANDOFF) return ok(message)
  return warning(
    `${message}: messages do not get through`,
    'See whether a proxy between here and Redis lets SUBSCRIBE and PUBLISH pass.',
  )
}

const SLOW = 100

function latency({ latency }) {
  if (latency === undefined) return
  const { median, p99, samples } = latency
  const message = `acquire and release: median ${milliseconds(median)}, p99 ${milliseconds(p99)} (${samples} times)`
  if (p99 < SLOW) return ok(message)
  return warning(message, `Keep every ttl far above that: ${inWords(20 * p99)} or more.`)
}

function eviction({ info }) {
  if (info?.maxmemory_policy === undefined) return
  const { maxmemory, maxmemory_policy: policy } = info
  if (Number(maxmemory) === 0) return ok('memory is not limited, so no lock is dropped for it')
  if (policy === 'noeviction') return ok('a full memory refuses commands and drops no lock')
  return problem(
    `when memory is full, locks may be dropped while they are held (maxmemory-policy ${policy})`,
    'CONFIG SET maxmemory-policy noeviction, or give the locks a Redis of their own.',
  )
}

function memory({ info }) {
  const share = Number(info?.used_memory) / Number(info?.maxmemory)
  if (!(share > 0.9 && share < Infinity)) return
  return warning(
    `${Math.round(100 * share)} % of the memory that Redis may have is in use`,
    'Above 100 % no lock can be taken (OOM). Raise maxmemory, or find out what fills it.',
  )
}

function persistence({ info }) {
  if (info?.aof_enabled === undefined) return
  if (info.aof_last_write_status === 'err') {
    return problem('the append-only file cannot be written', 'Look at the disk of the Redis host.')
  }
  if (info.aof_enabled === '1') return ok('the append-only file keeps locks over a restart')
  return warning(
    'a restart of Redis frees the locks that were taken since the last snapshot, or all',
    'CONFIG SET appendonly yes. Without it, make sure that holders look at lock.signal.',
  )
}

function replication({ info }) {
  if (info?.connected_slaves === undefined || info.role !== 'master') return
  const replicas = Number(info.connected_slaves)
  if (replicas === 0) return note('no replicas: nothing takes over when this server fails')
  const count = `${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`
  if (info.min_slaves_good_slaves !== undefined) {
    return ok(`${count}, and writes stop where too few of them follow`)
  }
  return warning(
    `${count}: after a failover two processes may hold the same lock`,
    '`minReplicas: 1` for those locks (run: --min-replicas 1) narrows that; only the fencing token closes it.',
  )
}

function clients({ info }) {
  const share = Number(info?.connected_clients) / Number(info?.maxclients)
  if (!(share > 0.8)) return
  return warning(
    `${info.connected_clients} of ${info.maxclients} connections are in use`,
    'Each process needs up to three, and one more for each worker thread. Raise maxclients.',
  )
}

function clock({ clock }) {
  if (clock === undefined) return
  const { ahead, within } = clock
  const by = Math.abs(ahead)
  const exact = `±${milliseconds(within)}`
  if (by <= within + 1)
    return note(`the server's clock agrees with ours (${exact}); no lock depends on it`)
  const direction = ahead > 0 ? 'ahead of' : 'behind'
  return note(
    `the server's clock is ${inWords(by)} ${direction} ours (${exact}); no lock depends on it`,
  )
}

function milliseconds(time) {
  return time < 10 ? `${time.toFixed(2)} ms` : inWords(time)
}

module.exports = { RIGHTS, check }
