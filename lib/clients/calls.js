'use strict'

/**
 * Remembers what a program tells its client by a method whose effect the client does not keep.
 *
 * The method goes on as before: same arguments, `this`, result and errors. What it was told counts
 * at once, before it is answered, and no longer when it failed.
 *
 * @param {any} client
 * @param {string} name of the method
 * @param {any} memory
 * @param {string} property of `memory` that takes what was told
 * @param {(args: any[]) => any} read what a call tells
 */
function rememberCalls(client, name, memory, property, read) {
  const method = client[name]
  if (typeof method !== 'function') return

  function watched(...args) {
    const before = memory[property]
    const told = (memory[property] = read(args))
    const undo = () => {
      if (memory[property] === told) memory[property] = before
    }

    const last = args.length - 1
    const callback = args[last]
    if (typeof callback === 'function') {
      args[last] = function (error, ...results) {
        if (error) undo()
        return callback.call(this, error, ...results)
      }
      return method.apply(this, args)
    }

    const result = method.apply(this, args)
    if (typeof result?.then !== 'function') return result
    // The promise that is handed on rejects too: a failure that nobody handles is still reported.
    return result.then(undefined, (error) => {
      undo()
      throw error
    })
  }
  Object.defineProperty(client, name, { value: watched, writable: true, configurable: true })
}

module.exports = { rememberCalls }
