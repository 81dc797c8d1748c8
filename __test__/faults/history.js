'use strict'

const { now } = require('./clock.js')

/** Sooner than a holder that looks every 2 ms finds its lease over by itself, in milliseconds. */
const EARLY = 200

/** What any time may be longer by on a loaded machine, in milliseconds. */
const NOISE = 2500

/**
 * What several processes said of one run, and whether that is as promised.
 *
 * A process's `hold` is an interval in which it surely believed to have the lock: from when it was told so
 * to the last moment at which it asked `lock.remaining` and there was some. So an overlap of two is
 * one, whatever the clocks of timers did.
 */
class History {
  /** All that was said, in the order it was heard. */
  events = []
  calls = []
  holds = []
  #open = new Map()
  #grants = new Map()
  /** By process: when it stood still. */
  #pauses = new Map()

  /** Adds an event that a process said. */
  add(process, event) {
    this.events.push({ process, ...event })
    const key = `${process} ${event.number}`
    if (event.is === 'call') this.#open.set(key, { process, ...event })
    if (event.is === 'end') {
      const call = this.#open.get(key)
      this.#open.delete(key)
      this.calls.push({ ...call, ended: event.at, outcome: event.outcome })
    }
    if (event.is === 'grant') this.#grants.set(event.id, { process, ...event, to: event.from })
    if (event.is === 'hold') {
      this.#grants.delete(event.id)
      this.holds.push({ process, ...event })
    }
  }

  paused(process, from, to) {
    this.events.push({ process, is: 'pause', from, to })
    this.#pauses.set(process, [...(this.#pauses.get(process) ?? []), { from, to }])
  }

  /** A fault begins or ends, or whatever else is of interest to who reads the events. */
  note(is, more) {
    this.events.push({ is, at: now(), ...more })
  }

  /** A process was killed: what it was at is not known. */
  killed(process) {
    this.events.push({ process, is: 'killed' })
    for (const [key, call] of this.#open) if (call.process === process) this.#open.delete(key)
  }

  /** All holds, and those of processes that were killed as far as they are known. */
  get allHolds() {
    const known = [...this.holds, ...this.#grants.values()].filter(({ how }) => how !== 'late')
    return known.sort((one, other) => one.from - other.from)
  }

  /** Pairs of holds of one name in which two believed at the same time. */
  overlaps() {
    const found = []
    for (const holds of this.#byName()) {
      let last
      for (const hold of holds) {
        if (last && hold.from < last.to) found.push([last, hold])
        if (!last || hold.to > last.to) last = hold
      }
    }
    return found
  }

  /** Holds whose holder was told that the lock is lost before its lease was over. */
  lost() {
    return this.holds.filter(({ how, seen, until }) => how === 'over' && until - seen > EARLY)
  }

  /** Pairs in which a holder that began to ask after another had the lock got no larger token. */
  disorders() {
    const found = []
    for (const holds of this.#byName()) {
      let largest
      for (const hold of holds) {
        if (hold.token === undefined) continue
        if (largest && hold.token <= largest.token && hold.began > largest.from) {
          found.push([largest, hold])
        }
        if (!largest || hold.token > largest.token) largest = hold
      }
    }
    return found
  }

  /** Calls that have not ended. */
  hung() {
    return [...this.#open.values()]
  }

  /** Calls that took longer than they may, apart from pauses of their process. */
  late() {
    return this.calls.filter(({ process, at, ended, limit }) => {
      if (limit === undefined) return false
      return ended - at - this.#pausedWithin(process, at, ended) > limit + NOISE
    })
  }

  /** How long after `moment` each of these names was granted to somebody who asked for it, at the most. */
  recovery(names, moment) {
    const grants = this.allHolds.filter(({ from }) => from > moment)
    const calls = [...this.calls, ...this.#open.values()]
    const isWanted = (name) =>
      calls.some((call) => call.name === name && (call.ended ?? Infinity) > moment)
    const after = (name) => grants.find((hold) => hold.name === name)?.from - moment
    const all = names.filter(isWanted).map(after)
    return all.some(Number.isNaN) ? Infinity : Math.max(0, ...all)
  }

  outcomes() {
    const counts = {}
    for (const { method, outcome } of this.calls) {
      const name = outcome.startsWith('ERR') ? outcome : `${method}: ${outcome}`
      counts[name] = (counts[name] ?? 0) + 1
    }
    return counts
  }

  #byName() {
    const byName = new Map()
    for (const hold of this.allHolds) {
      byName.set(hold.name, [...(byName.get(hold.name) ?? []), hold])
    }
    return byName.values()
  }

  #pausedWithin(process, from, to) {
    const within = (pause) => Math.max(0, Math.min(pause.to, to) - Math.max(pause.from, from))
    return (this.#pauses.get(process) ?? []).reduce((sum, pause) => sum + within(pause), 0)
  }
}

module.exports = { History, NOISE }
