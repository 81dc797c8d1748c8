'use strict'

/** What GitHub makes of a heading, for links to it. */
function anchor(heading) {
  const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
  return text.replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-')
}

module.exports = { anchor }
