'use strict'

/**
 * Columns of a table: `{ title, cell(row), isText? }`.
 *
 * @param {string} title
 * @param {string} figure
 * @param {(median: number, all: number[]) => string} format
 */
function value(title, figure, format) {
  return {
    title,
    cell({ values }) {
      const spread = values[figure]
      return spread ? format(spread.median, spread.all) : '–'
    },
  }
}

/** The median of the rounds' own ratios; in brackets is where half of them lie. */
function ratio(figure) {
  return { title: 'ratio', cell: ({ ratios }) => (ratios[figure] ? times(ratios[figure]) : '–') }
}

/** How many times as much as at the size before. */
function growth(figure) {
  return {
    title: 'growth',
    cell({ values: { [figure]: now }, smaller: { [figure]: before } }) {
      return now && before ? `×${(now.median / before.median).toPrecision(2)}` : '–'
    },
  }
}

/** The first column: who. */
const NAME = { title: '', cell: (row) => row.name, isText: true }

/** A ratio and its noise. */
function times(spread) {
  return withNoise(spread, (number) => number.toFixed(2))
}

/** A median, and where the middle half of the rounds lies. */
function withNoise({ median, low, high }, format) {
  return `${format(median)} (${format(low)}–${format(high)})`
}

module.exports = { NAME, value, growth, ratio, times, withNoise }
