'use strict'

const { acquire } = require('./channels.js')

const { start, end, asyncStart, asyncEnd, error: failed } = acquire

/** Whether somebody traces the acquires. */
function isTraced() {
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    failed.hasSubscribers
  )
}

/**
 * Carries out an acquire as a tracing channel of Node does, save that the result it tells is plain
 * data instead of the lock.
 *
 * @param {import('../calls.js').Acquire} call
 * @param {(error: unknown, value?: unknown) => unknown} [callback]
 * @param {(call: object, callback?: Function) => Promise<unknown> | undefined} dispatch
 */
function trace(call, callback, dispatch) {
  const { resource, key, owner } = call
  const context = { resource, key, owner, ttl: call.request.ttl }
  return runStores(start, context, () => {
    try {
      return callback === undefined
        ? tracePromise(call, context, dispatch)
        : dispatch(call, traced(call, context, callback))
    } finally {
      end.publish(context)
    }
  })
}

async function tracePromise(call, context, dispatch) {
  try {
    const value = await dispatch(call)
    settle(call, context, value)
    return value
  } catch (error) {
    fail(context, error)
    throw error
  } finally {
    asyncStart.publish(context)
    asyncEnd.publish(context)
  }
}

function traced(call, context, callback) {
  return (...outcome) => {
    // A signal's reason may be anything, but comes alone.
    if (outcome.length === 1) fail(context, outcome[0])
    else settle(call, context, outcome[1])
    runStores(asyncStart, context, () => {
      try {
        callback(...outcome)
      } finally {
        asyncEnd.publish(context)
      }
    })
  }
}

function settle(call, context, value) {
  context.result = value && call.tellGrant(value)
}

function fail(context, error) {
  context.error = error
  failed.publish(context)
}

/** The stores that are bound to a channel are entered; Node can do that since 18.19. */
function runStores(channel, context, run) {
  if (channel.runStores !== undefined) return channel.runStores(context, run)
  channel.publish(context)
  return run()
}

module.exports = { isTraced, trace }
