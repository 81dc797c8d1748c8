'use strict'

/**
 * What `dist-lock` ends with; `docs/command-line.md` and `dist-lock help` list them. From 64 on they
 * are those of sysexits(3) and the shell, so that they are not taken for those of most commands.
 */
module.exports = {
  OK: 0,
  /** The answer is no: nobody holds the lock, or a check of doctor failed. */
  NO: 1,
  /** The command line is wrong (EX_USAGE). */
  USAGE: 64,
  /** Redis cannot be reached, or refuses (EX_UNAVAILABLE). */
  REDIS: 69,
  /** A bug in dist-lock (EX_SOFTWARE). */
  BUG: 70,
  /** Somebody else holds the lock (EX_TEMPFAIL). */
  TAKEN: 75,
  /** The lock was lost while the command ran. */
  LOST: 79,
  /** The command cannot be run. */
  CANNOT_RUN: 126,
  /** There is no such command. */
  NOT_FOUND: 127,
  /** The number of a signal is added. */
  SIGNAL: 128,
}
