'use strict'

/**
 * The columns of a table: `{ title, cell(row), isText? }`.
 *
 * A ratio is the median of the rounds' own ratios; in brackets is where half of them lie.
 */
const COLUMNS = [
  { title: '', cell: (row) => row.name, isText: true },
  value('locks/s', 'rate', (number) => Math.round(number).toLocaleString('en')),
  ratio('rate'),
  value('p50 ms', 'p50', (number) => number.toPrecision(3)),
  ratio('p50'),
  value('p99 ms', 'p99', (number) => number.toPrecision(3)),
  value('JS µs', 'threadCpu', (number) => number.toFixed(1)),
  ratio('threadCpu'),
  value('process µs', 'processCpu', (number) => number.toFixed(1)),
  value('Redis µs', 'serverCpu', (number) => number.toFixed(1)),
  value('commands', 'commands', (number) => number.toFixed(2)),
]

function value(title, figure, format) {
  return { title, cell: ({ values }) => (values[figure] ? format(values[figure].median) : '–') }
}

function ratio(figure) {
  return { title: 'ratio', cell: ({ ratios }) => (ratios[figure] ? times(ratios[figure]) : '–') }
}

/** A ratio and its noise. */
function times({ median, low, high }) {
  return `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
}

const LEGEND = `Per acquire + release, medians of the rounds; each lock on a resource of its own.
ratio: next to the original in the same round, and where the middle half of the rounds lies.
JS µs: processor time of the thread that runs JavaScript; process µs: of all its threads;
Redis µs: of the server. commands: sent to the server, however many a script then calls.`

module.exports = { COLUMNS, LEGEND, times }
