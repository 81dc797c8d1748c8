'use strict'

// Workers of BullMQ take jobs as they come, but never two jobs of one customer at a time. A job whose customer
// is busy goes back to the queue for a moment, so that its worker can take another. Runs on the Redis at
// REDIS_URL (5 or newer, as BullMQ needs); needs `npm install` in this directory.

const { DelayedError, Queue, Worker } = require('bullmq')
const Redis = require('ioredis')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

const url = process.env.REDIS_URL || 'redis://localhost:6379'
const NAME = `invoices-${process.pid}`

/** Keeps the lock of a job's customer while `work` runs. */
function oneAtATime(locks, work) {
  return async (job, token) => {
    const lock = await locks.acquire(`customer:${job.data.customer}`, {
      owner: `job ${job.id}`,
      timeout: 0,
      autoExtend: true,
    })
    if (!lock) {
      await job.moveToDelayed(Date.now() + 50, token)
      throw new DelayedError()
    }
    try {
      return await work(job, lock.signal)
    } finally {
      await lock.release()
    }
  }
}

function allCompleted(workers, count) {
  return new Promise((resolve, reject) => {
    for (const worker of workers) {
      worker.on('completed', () => --count === 0 && resolve())
      worker.on('failed', (job, error) => reject(error))
    }
  })
}

async function main() {
  // BullMQ wants this option of the connections of its workers. The locks have connections of their own.
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  const locks = distLock(connection)
  const queue = new Queue(NAME, { connection })

  const busy = new Map()
  let most = 0
  let mostOfOne = 0
  const work = async ({ data: { customer } }) => {
    busy.set(customer, (busy.get(customer) ?? 0) + 1)
    most = Math.max(
      most,
      [...busy.values()].reduce((sum, count) => sum + count),
    )
    mostOfOne = Math.max(mostOfOne, busy.get(customer))
    await new Promise((resolve) => setTimeout(resolve, 20))
    busy.set(customer, busy.get(customer) - 1)
  }
  const workers = [1, 2].map(
    () => new Worker(NAME, oneAtATime(locks, work), { connection, concurrency: 4 }),
  )

  const customers = ['ada', 'bob', 'eve']
  const jobs = Array.from({ length: 15 }, (_, index) => ({
    name: 'invoice',
    data: { customer: customers[index % customers.length] },
  }))
  await queue.addBulk(jobs)
  await allCompleted(workers, jobs.length)
  console.log(`${jobs.length} jobs, up to ${most} at once, ${mostOfOne} at a time for one customer`)

  await Promise.all(workers.map((worker) => worker.close()))
  await queue.obliterate({ force: true })
  await queue.close()
  await locks.close()
  await connection.quit()
  if (mostOfOne !== 1) process.exitCode = 1
}

main()
