'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { startRedis } = require('./redis.js')

/** What the sentinels call the primary. */
const NAME = 'mymaster'

/**
 * Starts a primary, replicas of it, and sentinels that watch over them.
 *
 *     const sentinels = await startSentinels(t)
 *     const locks = distLock(sentinels.url)
 *     …
 *     await sentinels.failover()
 *
 * @param {{ after(fn: () => unknown): void }} [t] whose end ends them all
 * @param {object} [options]
 * @param {number} [options.replicas]
 * @param {number} [options.sentinels]
 * @param {number} [options.downAfter] milliseconds of silence after which a server counts as down
 * @param {object} [options.server] options of `startRedis` for primary and replicas
 * @param {object} [options.sentinel] options of `startRedis` for the sentinels
 * @param {string} [options.masterauth] the password of `server`
 * @returns {Promise<Sentinels>} once the sentinels know all servers and each other
 */
async function startSentinels(t, options = {}) {
  const { replicas = 1, sentinels: count = 3, downAfter = 400, server = {}, masterauth } = options
  const started = new Sentinels()
  t?.after(() => started.close())

  const auth = masterauth ? ['--masterauth', masterauth] : []
  const args = ['--repl-diskless-sync-delay', 0, ...auth, ...(server.args ?? [])]
  const primary = await startRedis(undefined, { ...server, args })
  started.servers.push(primary)
  for (let number = 0; number < replicas; number++) {
    const replica = await startRedis(undefined, { ...server, args, replicaOf: primary })
    started.servers.push(replica)
    await until(async () => /master_link_status:up/.test(await replica.command('INFO')))
  }

  const port = server.tls ? primary.tlsPort : primary.port
  const config = [
    `sentinel monitor ${NAME} 127.0.0.1 ${port} ${Math.floor(count / 2) + 1}`,
    `sentinel down-after-milliseconds ${NAME} ${downAfter}`,
    `sentinel failover-timeout ${NAME} 2000`,
    ...(masterauth ? [`sentinel auth-pass ${NAME} ${masterauth}`] : []),
  ]
  for (let number = 0; number < count; number++) {
    const sentinel = { args: ['--sentinel'], ...options.sentinel, config: config.join('\n') }
    started.sentinels.push(await startRedis(undefined, sentinel))
  }
  await started.know(replicas, count)
  return started
}

class Sentinels {
  name = NAME
  /** @type {import('./redis.js').RedisServer[]} the primary and the replicas, in the order they were started */
  servers = []
  /** @type {import('./redis.js').RedisServer[]} */
  sentinels = []

  get url() {
    const hosts = this.sentinels.map(({ host, port }) => `${host}:${port}`)
    return `redis+sentinel://${hosts.join(',')}/0?name=${NAME}`
  }

  get addresses() {
    return this.sentinels.map(({ host, port }) => ({ host, port }))
  }

  /** The server that is the primary in the eyes of `sentinel`. */
  async primary(sentinel = this.sentinels[0]) {
    const [, port] = await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)
    return this.servers.find((server) => [server.port, server.tlsPort].includes(Number(port)))
  }

  /** The other servers. */
  async replicas() {
    const primary = await this.primary()
    return this.servers.filter((server) => server !== primary)
  }

  /** Makes a replica the primary, as an administrator does; resolves with it once all sentinels say so. */
  async failover() {
    const before = await this.primary()
    await until(async () => {
      try {
        return await this.sentinels[0].command('SENTINEL', 'FAILOVER', NAME)
      } catch (error) {
        // One is going on, or no replica is good enough so far.
        if (/INPROG|NOGOODSLAVE/.test(error.message)) return false
        throw error
      }
    })
    return this.switchedFrom(before)
  }

  /** From now on a replica hears nothing of its primary, however often it connects. */
  async cut(replica) {
    await replica.command('CONFIG', 'SET', 'masteruser', 'nobody', 'masterauth', 'nothing')
    const primary = await this.primary()
    await primary.command('CLIENT', 'KILL', 'TYPE', 'replica')
    await until(async () => /master_link_status:down/.test(await replica.command('INFO')))
  }

  /** Resolves with the new primary once all sentinels have one in place of `before`. */
  async switchedFrom(before) {
    return until(async () => {
      const all = await Promise.all(this.sentinels.map((sentinel) => this.primary(sentinel)))
      return all.every((primary) => primary === all[0] && primary !== before) && all[0]
    })
  }

  /** Resolves once each sentinel knows so many replicas and sentinels. */
  async know(replicas, sentinels) {
    for (const sentinel of this.sentinels) {
      // Their first words to each other take seconds otherwise; older ones have no such command.
      const often = ['INFO-PERIOD', 500, 'PUBLISH-PERIOD', 200]
      await sentinel.command('SENTINEL', 'DEBUG', ...often).catch(() => {})
    }
    await until(async () => {
      const known = await Promise.all(
        this.sentinels.map((sentinel) => sentinel.command('SENTINEL', 'MASTER', NAME)),
      )
      const number = (fields, name) => Number(fields[fields.indexOf(name) + 1])
      return known.every(
        (fields) =>
          number(fields, 'num-slaves') >= replicas &&
          number(fields, 'num-other-sentinels') === sentinels - 1,
      )
    })
  }

  async close() {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.close()))
  }
}

/** What `condition` gives once that is something. */
async function until(condition) {
  const end = Date.now() + 60_000
  for (;;) {
    const found = await condition()
    if (found) return found
    if (Date.now() > end) throw new Error(`this did not come true: ${condition}`)
    await sleep(20)
  }
}

module.exports = { startSentinels, until }
