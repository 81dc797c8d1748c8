'use strict'

/** Random choices that a seed repeats (mulberry32). */
class Chance {
  #state

  constructor(seed) {
    this.#state = seed >>> 0
  }

  /** At least 0 and less than 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  between(least, most) {
    return least + this.next() * (most - least)
  }

  is(probability) {
    return this.next() < probability
  }

  oneOf(choices) {
    return choices[Math.floor(this.next() * choices.length)]
  }

  /** A stream of its own. */
  fork() {
    return new Chance(Math.floor(this.next() * 2 ** 32))
  }
}

module.exports = { Chance }
