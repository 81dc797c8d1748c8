'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/**
 * A certificate with its key, as PEM text and as files.
 *
 * @typedef {{ cert: string, key: string, certFile: string, keyFile: string }} Certificate
 */

let made

/**
 * The certificates for TLS tests, made once per process in a temporary directory:
 *
 * - `ca`         signs all of the others but `stranger`
 * - `server`     for localhost, 127.0.0.1 and ::1
 * - `named`      for the name redis.test only: needs `servername` on 127.0.0.1
 * - `client`     for clients, with the common name `client`
 * - `otherCa`    has signed nothing a server here shows
 * - `stranger`   a client certificate of `otherCa`
 *
 * @returns {Record<'ca'|'server'|'named'|'client'|'otherCa'|'stranger', Certificate>}
 */
function certificates() {
  made ??= make()
  return made
}

function make() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'dist-lock-tls-'))
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }))

  const ca = authority(dir, 'ca')
  const otherCa = authority(dir, 'other-ca')

  return {
    ca,
    otherCa,
    server: signed(dir, 'server', ca, 'serverAuth', 'DNS:localhost,IP:127.0.0.1,IP:::1'),
    named: signed(dir, 'named', ca, 'serverAuth', 'DNS:redis.test'),
    client: signed(dir, 'client', ca, 'clientAuth', 'DNS:client'),
    stranger: signed(dir, 'stranger', otherCa, 'clientAuth', 'DNS:stranger'),
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function authority(dir, name) {
  const certFile = path.join(dir, `${name}.crt`)
  const keyFile = path.join(dir, `${name}.key`)
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
  openssl([
    ...['req', '-x509', ...NEW_KEY, '-days', '30', '-subj', `/CN=dist-lock test ${name}`],
    ...['-keyout', keyFile, '-out', certFile],
    ...extensions.flatMap((extension) => ['-addext', extension]),
  ])
  return read(certFile, keyFile)
}

function signed(dir, name, ca, usage, names) {
  const certFile = path.join(dir, `${name}.crt`)
  const keyFile = path.join(dir, `${name}.key`)
  const requestFile = path.join(dir, `${name}.csr`)
  const extensionFile = path.join(dir, `${name}.ext`)

  fs.writeFileSync(
    extensionFile,
    [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      `extendedKeyUsage=${usage}`,
      `subjectAltName=${names}`,
    ].join('\n'),
  )
  openssl(['req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', requestFile])
  openssl([
    ...['x509', '-req', '-days', '30', '-in', requestFile, '-out', certFile],
    ...['-CA', ca.certFile, '-CAkey', ca.keyFile, '-CAcreateserial', '-extfile', extensionFile],
  ])
  return read(certFile, keyFile)
}

function read(certFile, keyFile) {
  return {
    certFile,
    keyFile,
    cert: fs.readFileSync(certFile, 'utf8'),
    key: fs.readFileSync(keyFile, 'utf8'),
  }
}

function openssl(args) {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

module.exports = { certificates }
