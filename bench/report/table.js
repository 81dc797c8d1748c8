'use strict'

/** Lines of a table for people: names to the left, numbers to the right. */
function textTable(columns, rows) {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => toCells(columns, row))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index].length)))
  return cells.map((line) =>
    line
      .map((cell, index) =>
        columns[index].isText ? cell.padEnd(widths[index]) : cell.padStart(widths[index]),
      )
      .join('  ')
      .trimEnd(),
  )
}

/** The same in Markdown. */
function markdownTable(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [
    line(columns.map(({ title }) => title)),
    line(columns.map(({ isText }) => (isText ? '---' : '---:'))),
    ...rows.map((row) => line(toCells(columns, row))),
  ]
}

function toCells(columns, row) {
  return columns.map(({ cell }) => cell(row))
}

module.exports = { textTable, markdownTable }
