'use strict'

// In which order version 2 called back.

const assert = require('node:assert/strict')
const { ask, bothVersions, seen } = require('./support/both.js')

const { each, same } = bothVersions()

each('of acquires in one tick the first one gets the lock', async ({ distLock, client }) => {
  const locks = distLock(client, { maxRetries: 0 })

  const owners = ['first', 'second', 'third', 'fourth', 'fifth']
  const got = await Promise.all(owners.map((owner) => ask(locks.acquire, 'a', owner)))

  assert.deepEqual(
    got.map((lock) => lock && lock.owner),
    ['first', false, false, false, false],
  )
})

each('over two managers, too, the first acquire gets the lock', async ({ distLock, client }) => {
  const [one, other] = [
    distLock(client, { maxRetries: 0 }),
    distLock(client, { maxRetries: 0, ttl: 500 }),
  ]

  for (let round = 0; round < 10; round++) {
    const name = `round ${round}`
    const got = await Promise.all([ask(other.acquire, name), ask(one.acquire, name)])

    assert.equal(got[0].acquiredOnAttempt, 1)
    assert.equal(got[1], false)
  }
})

each('a lock released in the same tick can be acquired', async ({ distLock, client }) => {
  const locks = distLock(client, { maxRetries: 0 })

  for (let round = 0; round < 10; round++) {
    const lock = await ask(locks.acquire, 'a')
    const [released, next] = await Promise.all([ask(lock.release), ask(locks.acquire, 'a')])

    assert.equal(released, true)
    assert.notEqual(next, false)
    await ask(next.release)
  }
})

each('over two managers, too, a lock released in the same tick can be acquired', async (world) => {
  const { distLock, client } = world
  const [one, other] = [distLock(client), distLock(client, { maxRetries: 0 })]

  for (let round = 0; round < 10; round++) {
    const lock = await ask(one.acquire, 'a')
    const [released, next] = await Promise.all([ask(lock.release), ask(other.acquire, 'a')])

    assert.equal(released, true)
    assert.notEqual(next, false)
    await ask(next.release)
  }
})

each('an acquire is refused only for what came before it', async ({ locks, distLock, client }) => {
  const impatient = distLock(client, { maxRetries: 0 })

  for (let round = 0; round < 20; round++) {
    const lock = await ask(locks.acquire, 'a')
    const [early, released, late] = await Promise.all([
      ask(impatient.acquire, 'a', 'early'),
      ask(lock.release),
      ask(impatient.acquire, 'a', 'late'),
    ])

    assert.equal(early, false)
    assert.equal(released, true)
    assert.equal(late.owner, 'late')
    await ask(late.release)
  }
})

same('a lock can be looked up in the tick of its acquire', async ({ locks }) =>
  Promise.all([
    seen((callback) => locks.getAcquiredLock('a', callback)),
    seen((callback) => locks.acquire('a', 'me', callback)),
    seen((callback) => locks.getAcquiredLock('a', callback)),
  ]),
)

same('calls of one tick on a held lock see each other in order', async ({ locks }) => {
  const { id } = await ask(locks.acquire, 'a', 'old')

  return Promise.all([
    seen((callback) => locks.getAcquiredLock('a', callback)),
    seen((callback) => locks.extendLock('a', id, 5000, callback)),
    seen((callback) => locks.releaseLock('a', id, callback)),
    seen((callback) => locks.releaseLock('a', id, callback)),
    seen((callback) => locks.getAcquiredLock('a', callback)),
    seen((callback) => locks.acquire('a', 'new', callback)),
    seen((callback) => locks.getAcquiredLock('a', callback)),
    seen((callback) => locks.extendLock('a', id, 5000, callback)),
  ])
})

same(
  'callbacks of one tick come in the order of their calls',
  async ({ locks, distLock, client }) => {
    const impatient = distLock(client, { maxRetries: 0 })
    const { id } = await ask(locks.acquire, 'a')
    const order = []
    const next = (name) => new Promise((resolve) => (next[name] = () => resolve(order.push(name))))

    const all = [next('get'), next('extend'), next('acquire'), next('release'), next('other')]
    locks.getAcquiredLock('a', next.get)
    locks.extendLock('a', id, 5000, next.extend)
    impatient.acquire('a', next.acquire)
    locks.releaseLock('a', id, next.release)
    locks.acquire('b', next.other)
    await Promise.all(all)

    return order
  },
)

each('the client sees a lock in its callback', async ({ locks, client, kind }) => {
  const id = await new Promise((resolve, reject) => {
    locks.acquire('a', (error, lock) => {
      if (error) return reject(error)
      kind.command(client, 'hget', 'lock:a', 'id').then((found) => {
        assert.equal(found, lock.id)
        resolve(found)
      }, reject)
    })
  })

  assert.notEqual(id, null)
})

each('the client sees an extension in its callback', async ({ distLock, client, kind }) => {
  const lock = await ask(distLock(client, { ttl: 20000 }).acquire, 'a')

  const pttl = await new Promise((resolve, reject) => {
    lock.extend(90000, (error) => {
      if (error) return reject(error)
      kind.command(client, 'pttl', 'lock:a').then(resolve, reject)
    })
  })

  assert.ok(pttl > 60000 && pttl <= 90000, `pttl ${pttl}`)
})

each('the client sees a release in its callback', async ({ locks, client, kind }) => {
  const lock = await ask(locks.acquire, 'a')

  const exists = await new Promise((resolve, reject) => {
    lock.release((error) => {
      if (error) return reject(error)
      kind.command(client, 'exists', 'lock:a').then(resolve, reject)
    })
  })

  assert.equal(exists, 0)
})
