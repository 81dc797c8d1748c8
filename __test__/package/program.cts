import distLock = require('dist-lock')

const locks: distLock.DistLock = distLock('memory:')

locks.acquire('a', 'ada', (error, lock) => {
  if (error) throw error
  if (!lock) throw new Error('taken')
  const { owner } = lock
  lock.release((error, released) => {
    if (error) throw error
    console.log(owner, released, typeof distLock.LockError)
  })
})
