'use strict'

/** Keeps what would settle them, as every library has to. */
const settlers = []

/** Neither lock nor Redis: what a call that waits takes before there is any library. */
module.exports = {
  name: 'promises alone',
  open() {},
  acquire: () => new Promise((resolve) => settlers.push(resolve)),
  close() {},
}
