'use strict'

// `npm run docs`: writes docs/api.md from the declarations, which are the manual. A test fails where the
// page is not what comes of them.

const fs = require('node:fs')
const path = require('node:path')
const prettier = require('prettier')
const ts = require('typescript')
const { anchor } = require('./anchor.js')

const ROOT = path.join(__dirname, '..')
const PAGE = path.join(ROOT, 'docs', 'api.md')

const CHAPTERS = {
  'index.d.ts': 'Managers and locks',
  'web-locks.d.ts': 'The Web Locks API',
  'source.d.ts': 'Sources',
  'diagnostics.d.ts': 'Statistics and diagnostics',
}

/** Interfaces whose members have a section each, and what goes before their names there. Others have a table. */
const SECTIONED = {
  DistLock: 'locks',
  WebLocks: 'locks',
  Lock: 'lock',
  LockDetails: 'lock',
  Options: 'Options',
  AcquireOptions: 'AcquireOptions',
  RequestOptions: 'RequestOptions',
  CloseOptions: 'CloseOptions',
}

const INTRODUCTION = `# API

<!-- Written by \`npm run docs\` from the declarations; change those. -->

Every call, option and error. The text is that of the declarations, which an editor shows as you type:
${Object.keys(CHAPTERS)
  .map((file) => `[${file}](../${file})`)
  .join(', ')}. How to put them to use is in the [guide](guide.md).`

/** The page as it should be. */
async function apiPage() {
  const chapters = Object.entries(CHAPTERS).map(([file, title]) => readChapter(file, title))
  const links = linksTo(chapters)
  const page = [INTRODUCTION, contents(chapters), ...chapters.map((chapter) => write(chapter))]
  const text = resolve(page.join('\n\n'), links)
  return prettier.format(text, { parser: 'markdown', ...(await prettier.resolveConfig(PAGE)) })
}

/** What a file declares, in its order; what it only names again is described where it comes from. */
function readChapter(file, title) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8')
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const isModule = (node) => ts.isModuleDeclaration(node)
  const all = statements.flatMap((node) => (isModule(node) ? node.body.statements : [node]))
  const described = all.filter((node) => isDescribed(node))
  const [about] = (described[0].jsDoc ?? []).slice(0, -1)
  return {
    title,
    about: about && textOf(about).text,
    entries: described.map((node) => readEntry(node)),
  }
}

function isDescribed(node) {
  if (ts.isVariableStatement(node) || ts.isInterfaceDeclaration(node)) return true
  return ts.isTypeAliasDeclaration(node) && !/^\w+\.\w+$/.test(node.type.getText())
}

function readEntry(node) {
  if (ts.isVariableStatement(node)) {
    const [{ name }] = node.declarationList.declarations
    const heading = `${name.text}(source, options?)`
    return { name: name.text, heading, ...docOf(node), members: [] }
  }
  const name = node.name.text
  const entry = { name, heading: name, ...docOf(node), members: [] }
  if (ts.isTypeAliasDeclaration(node)) return { ...entry, signature: declared(node) }

  const members = node.members.filter((member) => member.type?.getText() !== 'undefined')
  const parents = (node.heritageClauses ?? []).flatMap(({ types }) => types)
  const isPlain = members.every((member) => !member.jsDoc)
  return {
    ...entry,
    parents: parents.map((type) => type.getText().replaceAll(/\s+/g, '')),
    signature: isPlain && members.length > 0 ? declared(node) : undefined,
    members: isPlain ? [] : readMembers(name, members),
  }
}

/** The members of an interface; the forms of one method are one member, with others that are described apart. */
function readMembers(owner, nodes) {
  const members = new Map()
  for (const node of nodes) {
    const name = node.name?.getText() ?? 'new'
    const known = members.get(name)
    if (!known) members.set(name, readMember(owner, name, node))
    else if (node.jsDoc) known.others.push({ signature: declared(node), ...docOf(node) })
    else (known.others.at(-1) ?? known).signature += `\n${declared(node)}`
  }
  // What says no more than its parent does is found there.
  return [...members.values()].filter(({ text }) => text !== '' || !isSectioned(owner))
}

function readMember(owner, name, node) {
  const prefix = SECTIONED[owner]
  const isMethod = !ts.isPropertySignature(node)
  const full = name.startsWith('[') ? `${prefix}${name}` : `${prefix}.${name}`
  return {
    name,
    isMethod,
    heading: isMethod ? `${full}()` : full,
    isOptional: Boolean(node.questionToken),
    type: node.type && declared(node.type),
    signature: declared(node),
    ...docOf(node),
    others: [],
  }
}

/** The text of a declaration, without what belongs to its module. */
function declared(node) {
  return node
    .getText()
    .replace(/^export /, '')
    .replaceAll(/\b(index|source|web|diagnostics)\.(?=[A-Z])/g, '')
}

function docOf(node) {
  return node.jsDoc ? textOf(node.jsDoc.at(-1)) : { text: '', examples: [] }
}

/** A comment: its text, its examples, and the default it names. */
function textOf(comment) {
  const lines = comment
    .getText()
    .replace(/^\/\*\* ?/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
  const [text, ...tags] = lines.join('\n').split(/^@(?=example|default)/m)
  const of = (tag) =>
    tags.filter((other) => other.startsWith(tag)).map((other) => other.slice(tag.length).trim())
  return { text: text.trim(), examples: of('example'), value: of('default')[0] }
}

function contents(chapters) {
  return chapters
    .map(({ title, entries }) => {
      const lines = entries.map(({ name, heading, members }) => {
        const inside = isSectioned(name)
          ? members.map((member) => `[${escapeName(member.name)}](#${anchor(member.heading)})`)
          : []
        return `- ${[`[${heading}](#${anchor(heading)})`, inside.join(', ')].filter(Boolean).join(': ')}`
      })
      return `**[${title}](#${anchor(title)})**\n\n${lines.join('\n')}`
    })
    .join('\n\n')
}

function isSectioned(name) {
  return name in SECTIONED
}

function escapeName(name) {
  return name.replaceAll(/[[\]]/g, '\\$&')
}

function write({ title, about, entries }) {
  return [`## ${title}`, about, ...entries.map((entry) => writeEntry(entry))]
    .filter(Boolean)
    .join('\n\n')
}

function writeEntry({ name, heading, parents = [], signature, text, examples, members }) {
  const inherited = signature ? [] : parents.filter((parent) => parent !== 'Error')
  return [
    `### ${heading}`,
    signature && code(signature),
    text,
    ...inherited.map((parent) => has(parent)),
    ...examples,
    ...(isSectioned(name) ? members.map(writeMember) : [table(members)]),
  ]
    .filter(Boolean)
    .join('\n\n')
}

function writeMember({ heading, others, ...member }) {
  return [`#### ${escapeName(heading)}`, ...[member, ...others].map(writeForm)].join('\n\n')
}

function writeForm({ signature, text, value, examples }) {
  return [code(signature), text, value && `Default: ${inWords(value)}`, ...examples]
    .filter(Boolean)
    .join('\n\n')
}

function table(members) {
  if (members.length === 0) return ''
  const rows = members.map(({ name, isMethod, isOptional, type, signature, text, value }) => {
    const what = isMethod ? signature : type
    const told = [text, value && `Default: ${inWords(value)}.`].filter(Boolean).join(' ')
    return `| \`${name}${isOptional ? '?' : ''}\` | ${inCell(`\`${what}\``)} | ${inCell(told)} |`
  })
  return ['| | | |', '| - | - | - |', ...rows].join('\n')
}

/** A default: a value, or a sentence about it. */
function inWords(value) {
  return value.startsWith('none') || value.includes(' ') ? value : `\`${value}\``
}

/** What an interface has of another. */
function has(parent) {
  const [, name, some] = /^Pick<(\w+),(.*)>$/.exec(parent) ?? []
  if (!name) return `Has all that {@link ${parent}} has.`
  const names = some.match(/\w+/g).map((member) => `\`${member}\``)
  return `Has of {@link ${name}}: ${names.join(', ')}.`
}

function inCell(text) {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')
}

function code(text) {
  const indent = /\n( *)[}\])]*[^\n]*$/.exec(text)?.[1] ?? ''
  return `\`\`\`ts\n${text.replaceAll(`\n${indent}`, '\n')}\n\`\`\``
}

/** Where each name is described, with and without what comes before it. */
function linksTo(chapters) {
  const links = new Map()
  for (const { name, heading, members } of chapters.flatMap(({ entries }) => entries)) {
    links.set(name, anchor(heading))
    for (const member of isSectioned(name) ? members : []) {
      links.set(`${name}.${member.name}`, anchor(member.heading))
    }
  }
  return links
}

/** `{@link Lock}` becomes a link; a name that is not described is an error. */
function resolve(text, links) {
  return text.replaceAll(/\{@link (?:\w+\.)??((?:\w+\.)?\w+)\}/g, (found, name) => {
    const known = [name, name.replace(/^\w+\./, '')].find((other) => links.has(other))
    if (!known) throw new Error(`docs/api.md does not describe ${found}`)
    return `[\`${known}\`](#${links.get(known)})`
  })
}

if (require.main === module) {
  apiPage().then((page) => fs.writeFileSync(PAGE, page))
}

module.exports = { apiPage, PAGE }
