'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/**
 * What can go wrong, by name. Each breaks something, waits, and mends it.
 *
 * @typedef {object} Scene
 * @property {import('./topologies.js').Topology} topology
 * @property {import('./chance.js').Chance} chance
 * @property {import('./contenders.js').Contenders} contenders
 *
 * @type {Record<string, (scene: Scene) => Promise<unknown>>}
 */
const OF_ALL = {
  /** Nothing comes or goes, and nobody is told. */
  'a partition': (scene) => withMode(scene, 'blackhole'),
  'requests arrive and replies do not': (scene) => withMode(scene, 'swallow replies'),
  'connections are closed': async ({ topology, chance }) => {
    chance.oneOf(topology.nodes).proxy.hangUp()
  },
  'connections are closed on one side': async ({ topology, chance }) => {
    chance.oneOf(topology.nodes).proxy.halfOpen()
  },
  'nobody can connect': async ({ topology, chance }) => {
    const { proxy } = chance.oneOf(topology.nodes)
    proxy.refuse()
    proxy.hangUp()
    await sleep(chance.between(100, 1500))
    await proxy.accept()
  },
  'the network is slow': async ({ topology, chance }) => {
    const { proxy } = chance.oneOf(topology.nodes)
    const delay = { request: chance.between(0, 100), reply: chance.between(0, 100) }
    proxy.delay = delay
    await sleep(chance.between(500, 2000))
    proxy.delay = { request: 0, reply: 0 }
  },
  'a server stands still': async ({ topology, chance }) => {
    const { server } = chance.oneOf(topology.nodes)
    await server.pause()
    await sleep(chance.between(100, 900))
    server.resume()
  },
  'a server is killed and started again': async ({ topology, chance }) => {
    const { server } = chance.oneOf(topology.nodes)
    await server.stop()
    await sleep(chance.between(0, 300))
    await server.start()
    await topology.whole?.()
  },
  'the server forgets its scripts': async ({ topology, chance }) => {
    const { server } = chance.oneOf(topology.nodes)
    await server.command('SCRIPT', 'FLUSH')
  },
  'a process stands still': ({ contenders, chance }) =>
    contenders.pauseOne(chance.between(100, 3000)),
  'a process is killed': ({ contenders }) => contenders.replaceOne(),
}

/** What asynchronous replication is known to lose. */
const LOSS = 'the primary dies with what its replicas have not heard'

/** Where there are replicas. */
const OF_REPLICATED = {
  'an administrator fails over': async ({ topology }) => {
    await topology.failover()
    await topology.whole()
  },
  'the primary dies': async (scene) => {
    const { server } = await scene.topology.primary()
    await lose(scene, server)
    await scene.topology.whole()
  },
  [LOSS]: async (scene) => {
    const { server } = await scene.topology.primary()
    const replicas = await replicasOf(server, scene.topology)
    const login = (...words) =>
      Promise.all(replicas.map((replica) => replica.command('CONFIG', 'SET', ...words)))
    // They cannot connect again, and what is granted from now on only the primary knows.
    await login('masteruser', 'nobody', 'masterauth', 'nothing')
    await server.command('CLIENT', 'KILL', 'TYPE', 'replica')
    await sleep(scene.chance.between(200, 1000))
    await lose(scene, server)
    await login('masteruser', '', 'masterauth', '')
    await scene.topology.whole()
  },
  'the primary stands still until another one has taken over': async ({ topology, chance }) => {
    const { server } = await topology.primary()
    await server.pause()
    await sleep(chance.between(2000, 4000))
    server.resume()
    await topology.whole()
  },
}

async function withMode({ topology, chance }, mode) {
  const { proxy } = chance.oneOf(topology.nodes)
  proxy.mode = mode
  await sleep(chance.between(100, 2500))
  // What was lost on them stays lost.
  proxy.hangUp()
  proxy.mode = 'pass'
}

async function lose({ chance }, server) {
  await server.stop()
  await sleep(chance.between(2000, 4000))
  await server.start()
}

async function replicasOf({ port }, { nodes }) {
  const servers = nodes.map(({ server }) => server)
  const roles = await Promise.all(servers.map((server) => server.command('ROLE')))
  return servers.filter((_, at) => roles[at][0] === 'slave' && roles[at][2] === port)
}

/**
 * @param {import('./topologies.js').Topology} topology
 * @param {string[]} [only]   of these names
 */
function faultsOf(topology, only) {
  const all = Object.entries({ ...OF_ALL, ...(topology.failover && OF_REPLICATED) })
  return only ? all.filter(([name]) => only.includes(name)) : all
}

module.exports = { faultsOf, LOSS }
