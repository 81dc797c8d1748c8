'use strict'

const { OURS } = require('../contenders/index.js')
const { MARGIN, HEADER, card, text, line, round } = require('./svg.js')

const WIDTH = 880
const PLOT = 190
const GAP = 56
const AXIS = 34

/**
 * How a cost grows with the amount of work, both in powers of ten: along the dashed line ten times
 * the work costs ten times as much.
 *
 * @param {{ title: string, subtitle: string }} words
 * @param {{ title: string, sizes: number[], curves: Curve[] }[]} panels
 *
 * @typedef {object} Curve
 * @property {string} contender
 * @property {{ size: number, value: number, label: string }[]} points
 */
function drawCurves(words, panels) {
  const width = (WIDTH - 2 * MARGIN - GAP * (panels.length - 1)) / panels.length
  const height = HEADER + 26 + PLOT + AXIS + MARGIN
  const content = panels.flatMap((panel, index) => {
    const x = MARGIN + index * (width + GAP)
    return [text(x, HEADER + 4, panel.title, 'head'), ...drawPlot(panel, x, HEADER + 26, width)]
  })
  return card({ ...words, width: WIDTH, height }, content)
}

function drawPlot({ sizes, curves }, left, top, width) {
  const others = curves.filter(({ contender }) => contender !== OURS)
  const ours = curves.filter(({ contender }) => contender === OURS)
  const drawn = [...curves.flatMap(({ points }) => points), ...ours.map(proportional)]
  const values = drawn.map(({ value }) => value)
  const [lowest, highest] = [Math.min(...values) / 2.5, Math.max(...values) * 2].map(Math.log10)
  const [first, last] = [sizes.at(0), sizes.at(-1)].map(Math.log10)
  // Room for what is written at the first and the last point.
  const inner = width - 70
  const place = ({ size, value }) => ({
    x: left + 30 + ((Math.log10(size) - first) / (last - first)) * inner,
    y: top + PLOT - ((Math.log10(value) - lowest) / (highest - lowest)) * PLOT,
  })

  const bottom = top + PLOT
  const axis = [
    line(left, bottom, left + width, bottom, 'line'),
    ...sizes.flatMap((size) => {
      const { x } = place({ size, value: 1 })
      return [
        line(x, top, x, bottom, 'line'),
        text(x, bottom + 18, size.toLocaleString('en'), 'muted', 'middle'),
      ]
    }),
  ]
  return [
    ...axis,
    ...others.flatMap(({ points }) => [
      path(points.map(place), 'curve'),
      ...points.map((point) => dot(place(point), 'other', 2.5)),
    ]),
    ...ours.flatMap(({ points }) => [
      path([points[0], proportional({ points })].map(place), 'curve straight'),
      path(points.map(place), 'curve mine'),
      ...points.flatMap((point) => mark(place(point), point.label)),
    ]),
  ]
}

/** Where the last point would be if the cost grew as the work does. */
function proportional({ points }) {
  const [first, last] = [points[0], points.at(-1)]
  return { size: last.size, value: (first.value * last.size) / first.size }
}

function mark({ x, y }, label) {
  return [dot({ x, y }, 'ours', 4), text(x, y + 20, label, 'strong', 'middle')]
}

function dot({ x, y }, kind, radius) {
  return `<circle class="${kind}" cx="${round(x)}" cy="${round(y)}" r="${radius}"/>`
}

function path(places, kind) {
  const points = places.map(({ x, y }) => `${round(x)} ${round(y)}`)
  return `<path class="${kind}" d="M${points.join(' L')}"/>`
}

module.exports = { drawCurves }
