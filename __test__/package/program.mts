import distLock, { LockError, type Lock } from 'dist-lock'

const locks: distLock.DistLock = distLock(new URL('memory:'))
const lock: Lock | false = await locks.acquire('a', { owner: 'ada', timeout: 1000 })
if (!lock) throw new Error('taken')
console.log(lock.owner, await lock.release(), typeof LockError)
