'use strict'

/**
 * Watches what a program tells its client by a method whose effect the client does not keep.
 *
 * The method goes on as before: same arguments, `this`, result and errors.
 *
 * @param {any} client
 * @param {string} name of the method
 * @param {(args: any[]) => (() => void) | undefined} seen
 *   called before the client's own method; what it returns is called when that method fails
 */
function watchCalls(client, name, seen) {
  const method = client[name]
  if (typeof method !== 'function') return

  client[name] = function (...args) {
    const undo = seen(args)
    if (undo === undefined) return method.apply(this, args)

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
}

module.exports = { watchCalls }
