import distLock, { LockError } from 'dist-lock'

const locks = distLock('memory:')
const lock = await locks.acquire('a', 'ada')
console.log(lock.owner, await lock.release(), typeof LockError)
