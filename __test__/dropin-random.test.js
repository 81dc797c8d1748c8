'use strict'

// Calls in any order, alone and many in one tick: what they answer is what they answered.

const { ask, bothVersions, tell } = require('./support/both.js')

const { same } = bothVersions()

const NAMES = ['a', 'b', 'ü']
const ROUNDS = 150

for (const seed of [1, 2, 3, 4]) {
  same(
    `calls in any order answer alike (seed ${seed})`,
    async ({ distLock, client, redis }) => {
      const random = numbersFrom(seed)
      const one = (list) => list[Math.floor(random() * list.length)]
      const locks = distLock(client, { maxRetries: 0, ttl: 60000 })
      const held = []
      const last = {}
      const history = []

      for (let round = 0; round < ROUNDS; round++) {
        const tick = []
        const names = new Set(NAMES)
        for (let call = Math.floor(random() * 6); call >= 0; call--) tick.push(start())
        for (const result of await Promise.allSettled(tick)) history.push(told(result))
        history.push(await stored())

        // One acquire of a name in a tick: later ones wait for the first one's answer.
        function start() {
          const name = one(NAMES)
          const id =
            held[random() < 0.7 ? last[name] : Math.floor(random() * held.length)] ?? 'nobody'
          const what = random()
          if (what < 0.35 && names.delete(name)) return acquire(name)
          if (what < 0.6) return ask(locks.releaseLock, name, id)
          if (what < 0.75) return ask(locks.extendLock, name, id, one([50000, 90000, -1, 0.5]))
          return ask(locks.getAcquiredLock, name)
        }
      }
      return history

      async function acquire(name) {
        const at = held.push(`not acquired ${held.length}`) - 1
        const lock = await ask(locks.acquire, name, `owner ${at}`)
        if (lock) held[(last[name] = at)] = lock.id
        return lock
      }

      /** What there is, with ids by their numbers, as they differ from run to run. */
      function told({ value, reason }) {
        if (reason) return tell(reason)
        if (!value) return value
        return value === true ? true : { ...tell(value), holds: held.indexOf(value.id) }
      }

      async function stored() {
        const found = {}
        for (const name of NAMES) {
          const [id, owner] = await redis.command('HMGET', `lock:${name}`, 'id', 'owner')
          const pttl = await redis.command('PTTL', `lock:${name}`)
          found[name] = [held.indexOf(id), owner, pttl > 0 ? Math.ceil(pttl / 30000) : pttl]
        }
        return found
      }
    },
    { kinds: ['redis-3.1'] },
  )
}

/** Numbers from 0 to 1, the same ones each time: mulberry32. */
function numbersFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let number = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    number = (number + Math.imul(number ^ (number >>> 7), 61 | number)) ^ number
    return ((number ^ (number >>> 14)) >>> 0) / 4294967296
  }
}
