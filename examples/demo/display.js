'use strict'

const WIDTH = 28
const isTerminal = process.stdout.isTTY && process.env.TERM !== 'dumb'

function say(text) {
  console.log(text)
}

/**
 * Shows how the members get on: bars that grow in a terminal, else a line every second.
 *
 * @param {{ name: string }[]} members
 */
function showProgress(members) {
  const results = members.map(({ name }) => ({ name, turns: 0 }))
  let seconds = 0
  let drawn = false
  let timer

  const erase = () => {
    if (drawn) process.stdout.write(`\x1b[${results.length}A\x1b[J`)
    drawn = false
  }
  const draw = () => {
    erase()
    for (const line of bars(results)) say(line)
    drawn = true
  }
  const report = () => {
    const turns = results.map(({ name, turns }) => `${name} ${turns}`)
    say(`  after ${++seconds} s: ${turns.join(', ')}`)
  }

  return {
    onTurn(name) {
      timer ??= isTerminal ? setInterval(draw, 100) : setInterval(report, 1000)
      results.find((result) => result.name === name).turns += 1
    },
    end() {
      clearInterval(timer)
      erase()
    },
  }
}

/**
 * Shows what became of it.
 *
 * @param {import('./team.js').Outcome} outcome
 * @param {number} counted   what the counter says
 * @returns {number} how many increments were lost
 */
function showResult({ results, seconds }, counted) {
  for (const line of bars(results)) say(line)

  const expected = results.reduce((sum, { turns }) => sum + turns, 0)
  const lost = expected - counted
  const fate = lost === 0 ? 'not one is lost' : `${grouped(lost)} are lost`
  const pace = `${Math.round(expected / seconds)} per second`
  say(`  ${grouped(expected)} increments, ${pace}; the counter says ${grouped(counted)}: ${fate}.`)
  return lost
}

function bars(results) {
  const most = Math.max(1, ...results.map(({ turns }) => turns))
  return results.map(({ name, turns, longestWait }) => {
    const bar = '█'.repeat(Math.round((turns / most) * WIDTH)).padEnd(WIDTH)
    const wait = longestWait > 1 ? `, longest wait ${Math.round(longestWait)} ms` : ''
    return `  ${name}  ${bar} ${grouped(turns).padStart(6)}${wait}`
  })
}

function grouped(number) {
  return number.toLocaleString('en')
}

module.exports = { say, showProgress, showResult }
