'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const PROGRAM = path.join(__dirname, '../../bin/dist-lock.js')

/** A command line that has not ended by then never will. */
const LONGEST = 60000

/**
 * Starts `dist-lock` with these arguments.
 *
 * @param {{ after(fn: () => unknown): void }} t whose end ends it
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }> &
 *   { child: import('node:child_process').ChildProcess, said(text: string | RegExp): Promise<void> }}
 *   `said` waits for what either stream says
 */
function cli(t, args, env) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...clean(process.env), ...env },
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), LONGEST)
  t.after(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  const waiting = new Set()
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (chunk) => {
      output[name] += chunk
      for (const look of waiting) look()
    })
  }
  const all = () => output.stdout + output.stderr
  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(limit)
    return { code, signal, ...output }
  })
  const said = (text) =>
    new Promise((resolve, reject) => {
      const look = () => {
        if (!(text instanceof RegExp ? text.test(all()) : all().includes(text))) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      ended.then(() => reject(new Error(`it ended without ${text}:\n${all()}`)))
      look()
    })
  return Object.assign(ended, { child, said })
}

/** Nothing of who runs the tests. */
function clean(env) {
  const isOurs = (name) => /^(DIST_LOCK_|REDIS_URL$|NO_COLOR$|FORCE_COLOR$)/.test(name)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isOurs(name)))
}

module.exports = { cli }
