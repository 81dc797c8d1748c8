// Where neither the types of Node nor those of the browser are there.

import distLock from 'dist-lock'

const locks = distLock('memory:')
const lock = await locks.acquire('a', { timeout: 1000 })
if (lock) {
  lock.signal.addEventListener('abort', () => {})
  void [lock.remaining, lock.signal.aborted]
  await lock.release()
}
await locks.close()
