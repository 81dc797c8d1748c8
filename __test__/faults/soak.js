'use strict'

// npm run test:soak [-- --minutes 10] [--topology standalone]
//
// Locks for a long time, with connections that break now and then, in one process whose memory, handles and
// connections are looked at, as are the server's keys and channels: none of them may grow.

const { readdirSync } = require('node:fs')
const { parseArgs } = require('node:util')
const { setTimeout: sleep } = require('node:timers/promises')
const distLock = require('../../index.js')
const { Chance } = require('./chance.js')
const { topologies } = require('./topologies.js')

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    topology: { type: 'string', default: 'standalone' },
  },
})

const OPTIONS = { connectTimeout: 5000, commandTimeout: 1000, ttl: 1000, nodeTimeout: 250 }
/** What may be there more of at the end than after the first third, besides noise. */
const GROWTH = { rss: 1.1, handles: 1, descriptors: 1, keys: 1 }
const NOISE = { rss: 8e6, handles: 4, descriptors: 8, keys: 4 }
/** How many there may be once all managers are closed: some are on their way out. */
const MOST = { connections: 2, channels: 0 }
/** For so long before each look nothing is disturbed, or a connection that leaks would be cut by that. */
const CALM = 3000

/** Uses everything a manager has, with managers that come and go. */
async function work(topology, chance, counts, isOver) {
  const { source, names, options } = topology
  while (!isOver()) {
    const locks = distLock(source, { ...OPTIONS, ...options })
    for (let number = 0; number < 200 && !isOver(); number++) {
      const name = chance.is(0.5)
        ? chance.oneOf(names)
        : `own-${Math.floor(chance.between(0, 1e6))}`
      const signal = chance.is(0.1)
        ? AbortSignal.timeout(Math.ceil(chance.between(1, 20)))
        : undefined
      try {
        const autoExtend = chance.is(0.3)
        const lock = await locks.acquire(name, { timeout: 2000, autoExtend, signal })
        if (lock === false) continue
        lock.signal.addEventListener('abort', () => counts.lost++)
        counts.grants++
        await sleep(chance.between(0, 3))
        if (chance.is(0.1)) await lock.extend(500)
        // One in fifty is forgotten, and ends with its ttl.
        if (chance.is(0.98)) await lock.release()
      } catch {
        counts.failures++
        await sleep(20)
      }
    }
    await locks.close({ release: true }).catch(() => {})
  }
}

async function disturb({ nodes }, chance, isOver) {
  while (!isOver()) {
    await sleep(chance.between(200, 3000))
    if (isOver()) return
    const { proxy } = chance.oneOf(nodes)
    if (chance.is(0.5)) proxy.hangUp()
    else proxy.halfOpen()
  }
}

async function look({ nodes }) {
  for (let turn = 0; turn < 3; turn++) {
    global.gc()
    await sleep(20)
  }
  const sum = async (ask) => {
    const counts = await Promise.all(nodes.map(({ server }) => ask(server)))
    return counts.reduce((total, count) => total + count, 0)
  }
  return {
    rss: process.memoryUsage().rss,
    handles: process.getActiveResourcesInfo().length,
    descriptors: readdirSync('/proc/self/fd').length,
    connections: await sum(async (server) => {
      const list = await server.command('CLIENT', 'LIST')
      return list.split('\n').filter((line) => line.includes('name=dist-lock')).length
    }),
    channels: await sum(async (server) => (await server.command('PUBSUB', 'CHANNELS', '*')).length),
    keys: await sum((server) => server.command('DBSIZE')),
  }
}

/** Lets all that goes on in the background come to its end, then looks. */
async function rest(topology) {
  await sleep(2500)
  return look(topology)
}

async function main() {
  const ends = []
  const t = { after: (end) => ends.push(end) }
  const topology = await topologies[values.topology](t)
  const chance = new Chance(1)
  const counts = { grants: 0, lost: 0, failures: 0 }
  const end = performance.now() + Number(values.minutes) * 60_000

  const looks = []
  while (performance.now() < end) {
    const until = performance.now() + Math.max(5000, (Number(values.minutes) * 60_000) / 12)
    const isOver = () => performance.now() > Math.min(until, end)
    const all = Array.from({ length: 20 }, () => work(topology, chance.fork(), counts, isOver))
    const isCalm = () => performance.now() > Math.min(until, end) - CALM
    await Promise.all([...all, disturb(topology, chance.fork(), isCalm)])
    looks.push(await rest(topology))
    console.log(JSON.stringify({ ...counts, ...looks.at(-1) }))
  }
  for (const close of ends.reverse()) await close()
  judge(looks)
}

function judge(looks) {
  const before = looks[Math.floor(looks.length / 3)]
  const after = looks.at(-1)
  for (const [name, growth] of Object.entries(GROWTH)) {
    if (after[name] <= before[name] * growth + NOISE[name]) continue
    console.log(`${name} grew from ${before[name]} to ${after[name]}`)
    process.exitCode = 1
  }
  for (const [name, most] of Object.entries(MOST)) {
    const left = looks.map((look) => look[name]).filter((count) => count > most)
    if (left.length === 0) continue
    console.log(`${name} were left when all managers were closed: ${left}`)
    process.exitCode = 1
  }
}

main()
