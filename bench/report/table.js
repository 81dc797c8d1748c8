'use strict'

/** Lines of a table for people: names to the left, numbers to the right. */
function textTable(columns, rows) {
  return aligned(columns, rows).map((cells) => cells.join('  ').trimEnd())
}

/** The same in Markdown. */
function markdownTable(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const [titles, ...cells] = aligned(columns, rows).map((row, _, [head]) =>
    row.map((cell, index) => cell.padStart(Math.max(3, head[index].length))),
  )
  const rule = titles.map((title, index) => {
    const dashes = '-'.repeat(title.length)
    return columns[index].isText ? dashes : `${dashes.slice(1)}:`
  })
  return [titles, rule, ...cells].map(line)
}

/** The titles and the cells of each row, as wide as their column. */
function aligned(columns, rows) {
  const titles = columns.map(({ title }) => title)
  const cells = [titles, ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index].length)))
  return cells.map((line) =>
    line.map((cell, index) =>
      columns[index].isText ? cell.padEnd(widths[index]) : cell.padStart(widths[index]),
    ),
  )
}

module.exports = { textTable, markdownTable }
