'use strict'

const { createClient } = require('./client.js')

/** What to do about the others. Each `run(name, work)` does the work and says who is at it. */
const guards = {
  /** Hope. */
  nothing: () => ({
    run: (name, work) => work(),
  }),

  /** This version: a URL and promises. */
  version3({ url, prefix }) {
    const distLock = require('../../index.js') // elsewhere: require('dist-lock')
    const locks = distLock(url, { keyPrefix: `${prefix}lock:` })

    return {
      async run(name, work) {
        const lock = await locks.acquire('counter', name)
        try {
          await work()
        } finally {
          await lock.release()
        }
      },
    }
  },

  /** The version before: a client and callbacks. Both work on the same locks. */
  version2({ url, prefix }) {
    const distLock = require('dist-lock-2')
    const locks = distLock(createClient(url), { keyPrefix: `${prefix}lock:` })

    return {
      run(name, work) {
        return new Promise((resolve, reject) => {
          locks.acquire('counter', name, (error, lock) => {
            if (error) return reject(error)
            const release = () => {
              lock.release((error) => (error ? reject(error) : resolve()))
            }
            work().then(release, reject)
          })
        })
      },
    }
  },
}

module.exports = { guards }
