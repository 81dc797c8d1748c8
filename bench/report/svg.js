'use strict'

/** Pictures are cards of their own colours, so that they can be read on any page, light or dark. */
const STYLE = `
  .card { fill: #ffffff; stroke: #d5dae0 }
  text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .head { font-weight: 600 }
  .muted { fill: #626b75 }
  .strong { font-weight: 600 }
  .light { font-weight: 400 }
  .line { stroke: #d5dae0 }
  .ours { fill: #0b6bcb }
  .original { fill: #7b8794 }
  .other { fill: #c4ccd4 }
  .floor { fill: none; stroke: #98a2ad; stroke-dasharray: 3 2 }
  .noise { stroke: #1f2328; stroke-opacity: 0.55 }
  .curve { fill: none; stroke: #c4ccd4; stroke-width: 1.5 }
  .curve.mine { stroke: #0b6bcb; stroke-width: 2.5 }
  .curve.straight { stroke: #98a2ad; stroke-width: 1; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0f141a; stroke: #323a43 }
    text { fill: #e6edf3 }
    .muted { fill: #98a3af }
    .line { stroke: #323a43 }
    .ours { fill: #4da3ff }
    .original { fill: #8793a0 }
    .other { fill: #46505b }
    .floor { stroke: #6b7682 }
    .noise { stroke: #e6edf3 }
    .curve { stroke: #46505b }
    .curve.mine { stroke: #4da3ff }
    .curve.straight { stroke: #6b7682 }
  }
`

/** What is free at the edges of a card. */
const MARGIN = 24

/** From the top of a card to where its content begins, with a title and a subtitle. */
const HEADER = 80

/**
 * A whole picture.
 *
 * @param {{ title: string, subtitle: string, width: number, height: number }} card
 * @param {string[]} content   elements
 */
function card({ title, subtitle, width, height }, content) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"` +
      ` viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="10"/>`,
    text(MARGIN, 36, title, 'title'),
    text(MARGIN, 57, subtitle, 'muted'),
    ...content,
    '</svg>',
    '',
  ].join('\n')
}

/**
 * @param {'start' | 'middle'} [anchor]   which part of it is at `x`
 * @param {string} [more]   what follows in a lighter colour
 */
function text(x, y, words, kind = '', anchor = 'start', more = '') {
  const rest = more && `<tspan dx="7" class="muted light">${escaped(more)}</tspan>`
  const at = `x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"`
  return `<text ${at} class="${kind}">${escaped(words)}${rest}</text>`
}

function line(x1, y1, x2, y2, kind) {
  const [a, b, c, d] = [x1, y1, x2, y2].map(round)
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" class="${kind}"/>`
}

function round(number) {
  return Math.round(number * 10) / 10
}

function escaped(words) {
  return words.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
}

module.exports = { MARGIN, HEADER, card, text, line, round }
