// What must not compile.

import distLock from 'dist-lock'

// @ts-expect-error a source is needed
distLock()
// @ts-expect-error a number is no source
distLock(7)
// @ts-expect-error null is no source
distLock(null)
// @ts-expect-error an object that says no host and no path is no source
distLock({})
// @ts-expect-error a list of servers has no lists in it
distLock([['redis://a', 'redis://b'], 'redis://c'])
// @ts-expect-error the time for one server is a number
distLock(['redis://a', 'redis://b', 'redis://c'], { nodeTimeout: '1s' })
// @ts-expect-error a port is a number
distLock({ host: 'localhost', port: '6379' })
// @ts-expect-error TLS is no text
distLock({ host: 'localhost', tls: 'yes' })
// @ts-expect-error it is either a host or a socket
distLock({ host: 'localhost', path: '/run/redis.sock' })
// @ts-expect-error a socket has no TLS
distLock({ path: '/run/redis.sock', tls: true })
// @ts-expect-error sentinels are asked for a primary by its name
distLock({ sentinels: [{ host: 'a' }] })
// @ts-expect-error sentinels say where the server is
distLock({ sentinels: [{ host: 'a' }], name: 'mymaster', host: 'b' })
// @ts-expect-error it is either a host or a Cluster
distLock({ host: 'localhost', cluster: ['a'] })
// @ts-expect-error a Cluster has the database 0 only
distLock({ cluster: ['a'], db: 1 })
// @ts-expect-error a misspelt setting
distLock({ host: 'localhost', pasword: 'secret' })

// @ts-expect-error a ttl is a number
distLock('memory:', { ttl: '30s' })
// @ts-expect-error a misspelt option
distLock('memory:', { maxRetrys: 3 })
// @ts-expect-error a limit of one acquire is none of the manager
distLock('memory:', { timeout: 1000 })

// @ts-expect-error replicas are counted
distLock('memory:', { minReplicas: true })
// @ts-expect-error whether it is renewed is true or false
distLock('memory:', { autoExtend: 1000 })
// @ts-expect-error a longest hold is a number
distLock('memory:', { maxHold: '1m' })

const locks = distLock('memory:')

// @ts-expect-error a resource is needed
void locks.acquire()
// @ts-expect-error a resource is a string
void locks.acquire(42)
// @ts-expect-error an owner is a string
void locks.acquire('a', 42)
// @ts-expect-error a signal is no boolean
void locks.acquire('a', { signal: true })
// @ts-expect-error the key's prefix is the manager's
void locks.acquire('a', { keyPrefix: 'x:' })
// @ts-expect-error a callback is a function
void locks.acquire('a', 'owner', 'callback')
// @ts-expect-error an id is needed
void locks.releaseLock('a')
// @ts-expect-error milliseconds are needed
void locks.extendLock('a', 'id')
// @ts-expect-error whether to release is true or false
void locks.close({ release: 'all' })
// @ts-expect-error close has no callback
void locks.close(() => {})

const lock = await locks.acquire('a')
// @ts-expect-error nobody says that it was acquired
void lock.release()

const details = await locks.getAcquiredLock('a')
// @ts-expect-error nobody says that it is held
void details.release()
// @ts-expect-error how it was acquired is not in Redis
void details?.acquireDelay
// @ts-expect-error what a process believes of its own lock is none of what is in Redis
void details?.state
// @ts-expect-error a token is given, not taken
if (lock) lock.fencingToken = 5

locks.acquire('a', (error, lock) => {
  // @ts-expect-error there is no lock with an error
  if (error && lock) lock.release()
})

// @ts-expect-error a code there is not
new distLock.LockError('text', { code: 'ERR_LOCK_NO_SUCH' })
