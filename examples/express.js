'use strict'

// Two servers sell from one stock, and a lock around the checkout keeps them from selling what is gone.
// Runs on the Redis at REDIS_URL, or without any; needs `npm install` in this directory.

const { once } = require('node:events')
const express = require('express')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

const { LockError } = distLock

function createShop(locks, stock) {
  const app = express()

  app.post('/checkout/:item', async (request, response) => {
    const { item } = request.params
    // Nobody needs the lock any more once the customer has gone.
    const gone = new AbortController()
    response.once('close', () => gone.abort())

    const lock = await locks.acquire(`stock:${item}`, {
      ttl: 10000,
      timeout: 2000,
      signal: gone.signal,
    })
    if (!lock) return response.status(503).set('Retry-After', '1').json({ error: 'busy' })
    try {
      const left = await stock.read(item)
      if (left === 0) return response.status(409).json({ error: 'sold out' })
      await stock.write(item, left - 1)
      response.json({ left: left - 1 })
    } finally {
      await lock.release()
    }
  })

  // Not knowing is no reason to sell.
  app.use((error, request, response, next) => {
    if (response.destroyed) return
    if (!(error instanceof LockError)) return next(error)
    response.status(503).set('Retry-After', '5').json({ error: error.code })
  })

  return app
}

/** A database that takes its time, and whose clients read and write as they like. */
function createStock(items) {
  const counts = new Map(Object.entries(items))
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5))
  return {
    read: async (item) => (await pause(), counts.get(item)),
    write: async (item, count) => (await pause(), void counts.set(item, count)),
  }
}

async function main() {
  const stock = createStock({ chair: 5 })
  const shops = [1, 2].map(() => {
    const locks = distLock(process.env.REDIS_URL || 'memory:')
    return { locks, server: createShop(locks, stock).listen(0, '127.0.0.1') }
  })
  await Promise.all(shops.map(({ server }) => once(server, 'listening')))

  const customers = Array.from({ length: 20 }, async (_, index) => {
    const { server } = shops[index % shops.length]
    const url = `http://127.0.0.1:${server.address().port}/checkout/chair`
    return (await fetch(url, { method: 'POST' })).status
  })
  const statuses = await Promise.all(customers)

  const count = (status) => statuses.filter((other) => other === status).length
  console.log(`${count(200)} chairs sold, ${count(409)} customers told that there are none left`)
  for (const { locks, server } of shops) {
    server.close()
    server.closeAllConnections()
    await locks.close()
  }
  if (count(200) !== 5) process.exitCode = 1
}

main()
