// What must compile.

import distLock, { LockError, LockLostError } from 'dist-lock'
import type {
  AcquireOptions,
  Callback,
  Client,
  CloseOptions,
  DistLock,
  Info,
  Lock,
  LockDetails,
  LockErrorCode,
  Options,
  Settings,
  Source,
} from 'dist-lock'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

function expectType<Expected>() {
  return <Actual,>(_value: Actual, _same: Equal<Actual, Expected>) => {}
}

const locks = distLock('redis://localhost:6379')
expectType<DistLock>()(locks, true)
expectType<DistLock>()(new distLock(new URL('memory:')), true)

// Sources
distLock({ host: 'localhost' })
distLock({ path: '/run/redis.sock', db: 2, username: 'ada', password: 'secret' })
distLock({ host: 'localhost', port: 6380, family: 6, tls: true, keyPrefix: 'app:' })
distLock(['redis://a', { host: 'b' }, new URL('redis://c')], { nodeTimeout: 100 })
distLock(['a', 'b', 'c'].map((host) => `redis://${host}`))
distLock({ host: 'localhost', password: () => 'token' })
distLock({ cluster: ['redis://a', 'b:7000', { host: 'c' }], password: 'secret', tls: true })
distLock({ cluster: [new URL('redis://a')], natMap: { 'b:6379': { host: 'c', port: 6379 } } })
distLock({ host: 'localhost', password: async () => 'token' })
distLock({ host: 'localhost', credentials: async () => ({ username: 'ada', password: 'token' }) })
distLock({
  host: 'localhost',
  tls: {
    ca: [Buffer.from('PEM'), 'PEM'],
    cert: 'PEM',
    key: Buffer.from('PEM'),
    servername: 'redis.example',
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
  },
})

distLock({ sentinels: [{ host: 'a' }, { host: 'b', port: 26380 }], name: 'mymaster' })
distLock({
  sentinels: [{ host: 'a', family: 4 }],
  name: 'mymaster',
  password: async () => 'token',
  sentinelUsername: 'ada',
  sentinelPassword: 'secret',
  sentinelTLS: { ca: 'PEM' },
  tls: true,
  natMap: { '10.0.0.1:6379': { host: 'example.org', port: 7000 } },
})

// Options
distLock('memory:', {
  ttl: 30000,
  retryDelay: 50,
  maxRetries: -1,
  keyPrefix: 'lock:',
  connectTimeout: 10000,
  commandTimeout: 5000,
  failoverSettleTime: 30000,
  minReplicas: 1,
  replicaTimeout: 500,
  autoExtend: true,
  maxHold: 60000,
})
distLock('memory:', Object.freeze({ ttl: 1000 }) satisfies Options)

// Promises
expectType<Lock | false>()(await locks.acquire('a'), true)
expectType<Lock | false>()(await locks.acquire('a', 'owner'), true)
expectType<Lock | false>()(
  await locks.acquire('a', {
    owner: 'ada',
    ttl: 1000,
    retryDelay: 10,
    maxRetries: 3,
    timeout: 0,
    signal: AbortSignal.timeout(1000),
    autoExtend: true,
    maxHold: Infinity,
  }),
  true,
)
expectType<boolean>()(await locks.releaseLock('a', 'id'), true)
expectType<boolean>()(await locks.extendLock('a', 'id', 1000), true)
expectType<LockDetails | null>()(await locks.getAcquiredLock('a'), true)
expectType<Info>()(await locks.info(), true)
expectType<void>()(await locks.close(), true)
expectType<void>()(await locks.close({ release: true } satisfies CloseOptions), true)

// Callbacks: the error tells whether there is a value.
expectType<void>()(
  locks.acquire('a', (error, lock) => {
    if (error) {
      expectType<Error>()(error, true)
      expectType<undefined>()(lock, true)
      return
    }
    expectType<Lock | false>()(lock, true)
  }),
  true,
)
locks.acquire('a', 'owner', (error, lock) => {
  if (error) throw error
  if (!lock) return
  lock.release((error, released) => {
    if (!error) expectType<boolean>()(released, true)
  })
})
locks.acquire('a', { timeout: 0 }, (error: Error | null, lock?: Lock | false) => lock && error)
locks.releaseLock('a', 'id', (error, released) => {
  if (!error) expectType<boolean>()(released, true)
})
locks.extendLock('a', 'id', 1000, (error, extended) => {
  if (!error) expectType<boolean>()(extended, true)
})
locks.getAcquiredLock('a', (error, details) => {
  if (!error) expectType<LockDetails | null>()(details, true)
})
locks.getAcquiredLock('a', () => {})
locks.info((error, info) => {
  if (error) return
  expectType<'queue' | 'classic'>()(info.mode, true)
  expectType<string | undefined>()(info.reason, true)
})

// The lock
const lock = await locks.acquire('a')
if (lock) {
  const { key, id, owner, acquiredOnAttempt, acquireDelay, release, extend } = lock
  expectType<string>()(key, true)
  expectType<string>()(id, true)
  expectType<string>()(owner, true)
  expectType<number>()(acquiredOnAttempt, true)
  expectType<number>()(acquireDelay, true)
  expectType<boolean>()(await release(), true)
  expectType<boolean>()(await extend(1000), true)
  expectType<void>()(
    extend(1000, () => {}),
    true,
  )
  expectType<string>()(lock.resource, true)
  expectType<number | undefined>()(lock.fencingToken, true)
  expectType<number | undefined>()(lock.ttl, true)
  expectType<number>()(lock.remaining, true)
  expectType<'held' | 'suspect' | 'lost' | 'released'>()(lock.state, true)
  expectType<AbortSignal>()(lock.signal, true)
  await fetch('http://localhost', { signal: lock.signal })
}
const details = await locks.getAcquiredLock('a')
if (details) expectType<string | null>()(details.owner, true)

// To the end of a block
async function block() {
  await using locks = distLock('memory:')
  await using lock = await locks.acquire('a', { timeout: 1000 }).then((lock) => lock || null)
  expectType<Lock | null>()(lock, true)
}

// Errors
try {
  await locks.acquire('a')
} catch (error) {
  if (error instanceof LockError) {
    expectType<LockError>()(error, true)
    expectType<LockErrorCode>()(error.code, true)
    expectType<string | undefined>()(error.resource, true)
    expectType<string | undefined>()(error.redisCode, true)
    expectType<unknown>()(error.cause, true)
    expectType<string | undefined>()(error.stack, true)
  }
}
expectType<typeof LockError>()(distLock.LockError, true)
if (lock && lock.signal.reason instanceof LockLostError) {
  expectType<'ERR_LOCK_LOST'>()(lock.signal.reason.code, true)
  expectType<'LockLostError'>()(lock.signal.reason.name, true)
}
expectType<typeof LockLostError>()(distLock.LockLostError, true)

// Names for what programs write themselves
const options: AcquireOptions = { timeout: 1000 }
const sources: Source[] = ['memory:', { host: 'localhost' } satisfies Settings, {} as Client]
const callback: Callback<boolean> = (error, value) => void (value ?? error)
function open(source: distLock.Source): distLock.DistLock {
  return distLock(source)
}
export { options, sources, callback, open, block }
