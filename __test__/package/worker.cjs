'use strict'

// The main thread holds the lock; the worker gets it once it is released.

const { once } = require('node:events')
const { Worker, isMainThread, parentPort } = require('node:worker_threads')
const distLock = require('dist-lock')

const locks = distLock('memory:')

async function main() {
  const lock = await locks.acquire('a', 'ada')
  const worker = new Worker(__filename)
  const [whileHeld] = await once(worker, 'message')
  const next = once(worker, 'message')
  await lock.release()
  const [owner] = await next
  console.log(whileHeld, owner)
}

async function work() {
  parentPort.postMessage(await locks.acquire('a', { timeout: 0 }))
  const lock = await locks.acquire('a', 'worker')
  parentPort.postMessage(lock.owner)
  await lock.release()
}

if (isMainThread) main()
else work()
