'use strict'

const distLock = require('dist-lock')

const locks = distLock('memory:')

locks.acquire('a', 'ada', (error, lock) => {
  if (error) throw error
  lock.release((error, released) => {
    if (error) throw error
    console.log(lock.owner, released, typeof distLock.LockError)
  })
})
