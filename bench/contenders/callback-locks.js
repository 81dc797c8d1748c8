'use strict'

const { createClient } = require('redis-3')

/**
 * A lock library with the API of version 2 on a client of redis 3. Promises are made by hand:
 * `util.promisify` for each lock would cost more than some locks do.
 */
function onCallbacks(name, distLock) {
  let client
  let locks

  return {
    name,
    open(url) {
      client = createClient(url)
      locks = distLock(client)
    },
    acquire: (resource) =>
      new Promise((resolve, reject) => {
        locks.acquire(resource, (error, lock) => (error ? reject(error) : resolve(lock)))
      }),
    release: (lock) =>
      new Promise((resolve, reject) => {
        lock.release((error, released) => (error ? reject(error) : resolve(released)))
      }),
    close: () => new Promise((resolve) => client.quit(resolve)),
  }
}

module.exports = { onCallbacks }
