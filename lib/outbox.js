'use strict'

/** Numbers per call: its own, the operation, the locker's, seven values, the lengths of two texts. */
const FIELDS = 12
/** The most calls that cross together. */
const ROOM = 64
/** Fewer are not worth a crossing of their own. */
const FEWEST = 16

const [ACQUIRE, RELEASE, EXTEND, READ, MODE, DESCRIBE, FORCE, QUERY, ALL, REQUEST] = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
]

/** The calls of this tick, which cross into Rust together; `src/node/submission.rs` reads them. */
class Outbox {
  #submit
  #numbers = new Float64Array(ROOM * FIELDS)
  #texts = ''
  #count = 0
  #most = ROOM
  #scheduled = false

  /** @param {(numbers: Float64Array, count: number, texts: string) => void} submit */
  constructor(submit) {
    this.#submit = submit
  }

  /**
   * Some of `count` calls that were under way are over, and others follow them. Those cross in two halves:
   * while Redis is busy with one, this thread and the tokio thread are with the other.
   */
  halve(count) {
    const half = Math.ceil(count / 2)
    this.#most = half < FEWEST ? ROOM : Math.min(half, ROOM)
  }

  acquire(call, locker, key, owner, request, group) {
    this.#acquire(call, ACQUIRE, locker, key, owner, request, group)
  }

  /** An acquire that is in the queue from its first step on. */
  request(call, locker, key, owner, request, group) {
    this.#acquire(call, REQUEST, locker, key, owner, request, group)
  }

  acquireAll(call, locker, keys, owner, request, group) {
    this.#acquire(call, ALL, locker, keys, owner, request, group)
  }

  #acquire(call, operation, locker, key, owner, request, group) {
    const at = this.#put(call, operation, locker, key, owner)
    const numbers = this.#numbers
    numbers[at + 3] = request.ttl
    numbers[at + 4] = request.retryDelay
    numbers[at + 5] = request.maxRetries
    numbers[at + 6] = request.timeout
    numbers[at + 7] = request.autoExtend ? request.maxHold : 0
    numbers[at + 8] = group
    numbers[at + 9] = request.sharing
    this.#added()
  }

  release(call, locker, key, id) {
    this.#put(call, RELEASE, locker, key, id)
    this.#added()
  }

  extend(call, locker, key, id, milliseconds) {
    this.#numbers[this.#put(call, EXTEND, locker, key, id) + 3] = milliseconds
    this.#added()
  }

  read(call, locker, key) {
    this.#put(call, READ, locker, key, '')
    this.#added()
  }

  forceRelease(call, locker, key) {
    this.#put(call, FORCE, locker, key, '')
    this.#added()
  }

  query(call, locker, prefix) {
    this.#put(call, QUERY, locker, prefix, '')
    this.#added()
  }

  mode(call, locker) {
    this.#put(call, MODE, locker, '', '')
    this.#added()
  }

  describe(call, locker) {
    this.#put(call, DESCRIBE, locker, '', '')
    this.#added()
  }

  /** Sends what is here now rather than at the end of the tick. */
  flush() {
    const count = this.#count
    const texts = this.#texts
    this.#count = 0
    this.#texts = ''
    if (count > 0) this.#submit(this.#numbers, count, texts)
  }

  #put(call, operation, locker, key, other) {
    const at = this.#count * FIELDS
    const numbers = this.#numbers
    numbers[at] = call
    numbers[at + 1] = operation
    numbers[at + 2] = locker
    numbers[at + 10] = key.length
    numbers[at + 11] = other.length
    // The NULs keep halves of a surrogate pair in two texts from becoming one character.
    this.#texts += key + '\0' + other + '\0'
    return at
  }

  #added() {
    this.#count += 1
    if (this.#count >= this.#most) return this.flush()
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(() => {
      this.#scheduled = false
      this.flush()
    })
  }
}

module.exports = { Outbox }
