'use strict'

// Version 2's commands for users with few rights.

const assert = require('node:assert/strict')
const { ask, bothVersions } = require('./support/both.js')

/** What version 2 sends, and what a client needs to connect. */
const COMMANDS = '+eval +exists +hmset +pexpire +hget +del +hmget +info +ping +client +select'

const users = {
  'a user without rights to channels': 'on >secret ~* resetchannels +@all',
  'a user whose keys are lock:*': 'on >secret ~lock:* &* +@all',
  'a user whose keys are lock:*, without channels': 'on >secret ~lock:* resetchannels +@all',
  'a user who may not load scripts': 'on >secret ~lock:* &* +@all -script',
  'a user with the commands of version 2 only': `on >secret ~lock:* resetchannels -@all ${COMMANDS}`,
}
const names = Object.keys(users).map((_, index) => `user${index}`)

const { each } = bothVersions({
  users: Object.fromEntries(Object.values(users).map((rules, index) => [names[index], rules])),
})

for (const [index, who] of Object.keys(users).entries()) {
  const options = {
    kinds: ['redis-3.1', 'ioredis-5'],
    settings: { username: names[index], password: 'secret' },
  }

  each(
    `${who} can use all four methods`,
    async ({ locks, redis }) => {
      const { id } = await ask(locks.acquire, 'a', 'me')

      assert.equal(await redis.command('HGET', 'lock:a', 'id'), id)
      assert.equal((await ask(locks.getAcquiredLock, 'a')).owner, 'me')
      assert.equal(await ask(locks.extendLock, 'a', id, 5000), true)
      assert.equal(await ask(locks.releaseLock, 'a', id), true)
      assert.equal(await ask(locks.getAcquiredLock, 'a'), null)
    },
    options,
  )

  each(
    `${who} gets a lock that was waited for`,
    async ({ locks, distLock, client, open }) => {
      const others = distLock(open())
      const lock = await ask(others.acquire, 'a')
      const waiting = [ask(locks.acquire, 'a'), ask(distLock(client).acquire, 'a')]
      assert.equal(await ask(distLock(client, { maxRetries: 1 }).acquire, 'a'), false)

      await ask(lock.release)
      const first = await Promise.race(waiting)
      await ask(first.release)
      const [one, other] = await Promise.all(waiting)

      assert.notEqual(one.id, other.id)
    },
    options,
  )

  each(
    `${who} gets a lock whose holder died`,
    async ({ locks, distLock, open }) => {
      await ask(distLock(open(), { ttl: 150 }).acquire, 'a')

      assert.equal((await ask(locks.acquire, 'a')).key, 'lock:a')
    },
    options,
  )
}
