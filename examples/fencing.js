'use strict'

// A holder is paused until its lock is over, wakes up, and writes. No lock can stop it; the resource
// can, if the fencing token comes with the write. Runs on the Redis at REDIS_URL.

const { createClient } = require('redis-5') // elsewhere: require('redis')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

/** Writes a value unless a newer lock than `token` has written already. */
const GUARDED_SET = `
  if tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) > tonumber(ARGV[2]) then return 0 end
  redis.call('HSET', KEYS[1], 'value', ARGV[1], 'fence', ARGV[2])
  return 1
`

/** Two workers add 1 to a counter, and the first is paused between reading and writing. */
async function addTwice(redis, locks, counter, write) {
  await redis.del(counter)
  const read = async () => Number((await redis.hGet(counter, 'value')) ?? 0)

  const paused = await locks.acquire(counter, { ttl: 200 })
  const seen = await read()
  // The pause: a long garbage collection, a machine that is suspended, a slow disk.

  const other = await locks.acquire(counter)
  await write(counter, (await read()) + 1, other.fencingToken)
  await other.release()

  // The paused worker goes on where it was. It would notice if it looked at `paused.state` here, but
  // it could just as well be paused after that.
  if (await write(counter, seen + 1, paused.fencingToken)) return read()

  const again = await locks.acquire(counter)
  await write(counter, (await read()) + 1, again.fencingToken)
  await again.release()
  return read()
}

async function main() {
  const url = process.env.REDIS_URL || 'redis://localhost:6379'
  const redis = await createClient({ url }).connect()
  const locks = distLock(url)

  const unguarded = (key, value) => redis.hSet(key, 'value', value).then(() => true)
  const guarded = async (key, value, token) => {
    const done = await redis.eval(GUARDED_SET, {
      keys: [key],
      arguments: [String(value), String(token)],
    })
    return done === 1
  }
  const without = await addTwice(redis, locks, 'counter:unguarded', unguarded)
  console.log(`without the token: 1 + 1 = ${without}, an update was lost`)
  const withToken = await addTwice(redis, locks, 'counter:guarded', guarded)
  console.log(`with the token:    1 + 1 = ${withToken}, the late write was refused`)

  await redis.del(['counter:unguarded', 'counter:guarded'])
  await redis.close()
  await locks.close()
  if (without !== 1 || withToken !== 2) process.exitCode = 1
}

main()
