'use strict'

/** The upper bounds of the buckets of all histograms, in milliseconds; the last bucket has none. */
const BOUNDS = Object.freeze([
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3, 100e3, 200e3, 500e3, 1e6,
])

/** How often each of some times was met. */
class Histogram {
  #counts = Array.from({ length: BOUNDS.length + 1 }, () => 0)
  #sum = 0

  /** @param {number} milliseconds */
  add(milliseconds) {
    let bucket = 0
    while (milliseconds > BOUNDS[bucket]) bucket += 1
    this.#counts[bucket] += 1
    this.#sum += milliseconds
  }

  tell() {
    const counts = [...this.#counts]
    const count = counts.reduce((sum, count) => sum + count, 0)
    return { bounds: [...BOUNDS], counts, count, sum: this.#sum }
  }
}

/** What has come of the calls of one manager. */
class Stats {
  taken = 0
  failed = 0
  aborted = 0
  released = 0
  extended = 0
  #acquired = 0
  #wait = new Histogram()
  #hold = new Histogram()

  /** @param {number} waited   in milliseconds */
  acquire(waited) {
    this.#acquired += 1
    this.#wait.add(waited)
  }

  /** @param {number} held   in milliseconds; negative if it was acquired elsewhere */
  release(held) {
    this.released += 1
    if (held >= 0) this.#hold.add(held)
  }

  /**
   * @param {number} waiting   calls of acquire that have not ended
   * @param {{ held: number, lost: number }} census   of the locks of this manager
   */
  tell(waiting, { held, lost }) {
    const { taken, failed, aborted, released, extended } = this
    return {
      acquired: this.#acquired,
      taken,
      failed,
      aborted,
      waiting,
      released,
      extended,
      lost,
      held,
      wait: this.#wait.tell(),
      hold: this.#hold.tell(),
    }
  }
}

module.exports = { Stats }
