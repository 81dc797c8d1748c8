'use strict'

const { OURS, UPGRADED, ORIGINAL, FLOORS, BARE } = require('../contenders/index.js')
const { MARGIN, HEADER, card, text, line, round } = require('./svg.js')

const WIDTH = 880
const NAMES = 250
const ROW = 25
const BAR = 13
/** Between two columns. */
const GAP = 20
/** Beside the longest bar, for what is written there. */
const LABEL = 104

/**
 * A row for each contender, a column of bars for each panel: the same names serve all of them.
 *
 * @param {{ title: string, subtitle: string }} words
 * @param {Panel[]} panels
 *
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} note   what is better
 * @property {Bar[]} bars
 *
 * @typedef {object} Bar
 * @property {string} contender
 * @property {string} name
 * @property {import('../summary.js').Spread} value
 * @property {string} label
 * @property {string} [ratio]   next to the original
 */
function drawBars(words, panels) {
  const names = inOrder(panels)
  const width = (WIDTH - 2 * MARGIN - NAMES - GAP * (panels.length - 1)) / panels.length
  const top = HEADER + 44
  const height = top + names.length * ROW + MARGIN - 6
  const rows = names.map(({ contender, name }, index) => {
    const kind = contender === OURS ? 'strong' : ''
    return text(MARGIN, top + index * ROW + BAR - 2, name, kind)
  })
  const columns = panels.flatMap((panel, index) => {
    const x = MARGIN + NAMES + index * (width + GAP)
    const most = Math.max(...panel.bars.map(({ value }) => value.high))
    const scale = (width - LABEL) / most
    return [
      text(x, HEADER + 4, panel.title, 'head'),
      text(x, HEADER + 20, panel.note, 'muted'),
      line(x, top - 6, x, top + names.length * ROW - 8, 'line'),
      ...panel.bars.flatMap((bar) => {
        const row = names.findIndex(({ contender }) => contender === bar.contender)
        return drawBar(bar, x, top + row * ROW, scale)
      }),
    ]
  })
  return card({ ...words, width: WIDTH, height }, [...rows, ...columns])
}

function drawBar({ contender, value, label, ratio }, x, y, scale) {
  const length = Math.max(1.5, value.median * scale)
  const end = x + Math.max(length, value.high * scale)
  const middle = y + BAR / 2
  return [
    `<rect class="${kindOf(contender)}" x="${round(x)}" y="${round(y)}" width="${round(length)}"` +
      ` height="${BAR}" rx="2"/>`,
    line(x + value.low * scale, middle, x + value.high * scale, middle, 'noise'),
    text(end + 6, y + BAR - 2, label, contender === OURS ? 'strong' : '', 'start', ratio),
  ]
}

function kindOf(contender) {
  if ([OURS, UPGRADED].includes(contender)) return 'ours'
  if (contender === ORIGINAL) return 'original'
  return [...FLOORS, BARE].includes(contender) ? 'floor' : 'other'
}

/** The best of the last panel first. */
function inOrder(panels) {
  const { bars, isBetter } = panels.at(-1)
  const sign = isBetter === 'less' ? 1 : -1
  const sorted = [...bars].sort((one, other) => sign * (one.value.median - other.value.median))
  const rest = panels.flatMap((panel) => panel.bars)
  const known = new Map([...sorted, ...rest].map((bar) => [bar.contender, bar.name]))
  return [...known].map(([contender, name]) => ({ contender, name }))
}

module.exports = { drawBars }
