'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { summarize } = require('../summary.js')
const { drawBars } = require('./bars.js')
const { drawCurves } = require('./curves.js')
const { RESULTS } = require('./runs.js')

/**
 * What a workload wants drawn of it.
 *
 * @typedef {object} Picture
 * @property {string} file   without `.svg`
 * @property {string} title
 * @property {string} subtitle
 * @property {(PanelOfBars | PanelOfCurves)[]} panels   all of one kind
 *
 * @typedef {object} PanelOfBars
 * @property {string} title
 * @property {number} size
 * @property {string} figure
 * @property {(number: number) => string} format
 * @property {'more' | 'less'} isBetter
 * @property {boolean} [hasRatio]   whether the ratio to the original is shown
 *
 * @typedef {object} PanelOfCurves   over all sizes
 * @property {string} title
 * @property {string} figure
 * @property {(number: number) => string} format
 */

/** Draws what there is of a workload. @returns {string[]} the files */
function drawPictures(workload, run) {
  const summary = summarize(workload, run.samples)
  return (workload.pictures ?? []).flatMap(({ file, title, subtitle, panels }) => {
    const [draw, toPanel] =
      panels[0].size === undefined ? [drawCurves, toCurves] : [drawBars, toBars]
    const drawn = panels.map((panel) => toPanel(panel, summary)).filter(Boolean)
    if (drawn.length === 0) return []
    fs.writeFileSync(path.join(RESULTS, `${file}.svg`), draw({ title, subtitle }, drawn))
    return [`${file}.svg`]
  })
}

function toBars({ title, size, figure, format, isBetter, hasRatio }, summary) {
  const rows = summary.find((one) => one.size === size)?.rows ?? []
  const bars = rows
    .filter(({ values }) => values[figure])
    .map(({ contender, name, values, ratios }) => ({
      contender,
      name,
      value: values[figure],
      label: format(values[figure].median),
      ratio: hasRatio && ratios[figure] && `${ratios[figure].median.toFixed(2)} ×`,
    }))
  return bars.length > 0 && { title, note: `${isBetter} is better`, isBetter, bars }
}

function toCurves({ title, figure, format }, summary) {
  const sizes = summary.map(({ size }) => size)
  const names = [...new Set(summary.flatMap(({ rows }) => rows.map((row) => row.contender)))]
  const curves = names.map((contender) => {
    const points = summary.flatMap(({ size, rows }) => {
      const value = rows.find((row) => row.contender === contender)?.values[figure]?.median
      return value > 0 ? [{ size, value, label: format(value) }] : []
    })
    return { contender, points }
  })
  const drawn = curves.filter(({ points }) => points.length > 0)
  return drawn.length > 0 && { title, sizes, curves: drawn }
}

module.exports = { drawPictures }
