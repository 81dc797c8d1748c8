// The ways of CommonJS.

import distLock = require('dist-lock')

const { LockError } = distLock
const locks: distLock.DistLock = distLock('memory:')

async function work(signal: AbortSignal): Promise<distLock.Lock | undefined> {
  try {
    const lock = await locks.acquire('a', { signal })
    return lock || undefined
  } catch (error) {
    if (error instanceof LockError && error.code === 'ERR_LOCK_CLOSED') return
    throw error
  }
}

export = work
