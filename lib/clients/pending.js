'use strict'

/**
 * Finds the newest command of a kind that waits in a client's queue, where it is sent or answered
 * in order. Looks at each command once however often it is asked, and at none in an empty queue.
 */
class Pending {
  #is
  #last
  #found
  /** How many commands stand behind `#found`: once the queue is that short, it has left. */
  #behind = 0

  /** @param {(command: any) => boolean} is */
  constructor(is) {
    this.#is = is
  }

  /**
   * @param {any} queue the client's own
   * @returns {any} the command, or undefined
   */
  in(queue) {
    const length = queue.length
    if (length === 0) return undefined

    const last = commandAt(queue, length - 1)
    if (last !== this.#last) this.#look(queue, length)
    this.#last = last
    return this.#found !== undefined && length > this.#behind ? this.#found : undefined
  }

  /** From the back, where the new ones are, to the last one seen before. */
  #look(queue, length) {
    for (let index = length - 1; index >= 0; index--) {
      const command = commandAt(queue, index)
      if (command === this.#last) {
        this.#behind += length - 1 - index
        return
      }
      if (this.#is(command)) {
        this.#found = command
        this.#behind = length - 1 - index
        return
      }
    }
    this.#found = undefined
  }
}

/** The queues of the clients: denque, double-ended-queue, and the two stacks of node_redis 0 and 1. */
function commandAt(queue, index) {
  if (queue.get) return queue.get(index)
  const front = queue.head.length - queue.offset
  return index < front ? queue.head[queue.offset + index] : queue.tail[index - front]
}

module.exports = { Pending }
