'use strict'

// Spans and metrics of the locks, for OpenTelemetry. `instrument` is what a program takes over; below
// it two workers share a lock, and what was recorded is printed. Runs on the Redis at REDIS_URL, or
// without any.

const channels = require('node:diagnostics_channel')
const { once } = require('node:events')
const { SpanStatusCode, context } = require('@opentelemetry/api')
const { MeterProvider, MetricReader } = require('@opentelemetry/sdk-metrics')
const { BasicTracerProvider } = require('@opentelemetry/sdk-trace-base')
const { InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const distLock = require('../index.js') // elsewhere: require('dist-lock')

/**
 * Makes a span of every wait and every hold, and metrics of what `locks` does.
 *
 * @param {import('@opentelemetry/api').Tracer} tracer
 * @param {import('@opentelemetry/api').Meter} meter
 */
function instrument(tracer, meter, locks) {
  const attributes = ({ resource, owner }) => ({ 'lock.resource': resource, 'lock.owner': owner })

  /** The waits, by the object that all events of one call share. */
  const waits = new WeakMap()
  /** The holds. No message has a lock's id, but no two locks of a key have the same token. */
  const holds = new Map()
  const nameOf = ({ key, fencingToken }) => `${key} ${fencingToken}`

  channels.tracingChannel('dist-lock:acquire').subscribe({
    start(call) {
      const parent = context.active()
      const span = tracer.startSpan('lock.acquire', { attributes: attributes(call) }, parent)
      waits.set(call, { span, parent })
    },
    error(call) {
      const wait = waits.get(call)
      wait?.span.recordException(call.error)
      wait?.span.setStatus({ code: SpanStatusCode.ERROR })
    },
    asyncEnd(call) {
      // It may have begun before anybody listened.
      const { span, parent } = waits.get(call) ?? {}
      const outcome = call.error ? 'failed' : call.result ? 'granted' : 'taken'
      span?.setAttribute('lock.outcome', outcome).end()
      if (call.result) {
        const hold = tracer.startSpan('lock.hold', { attributes: attributes(call) }, parent)
        holds.set(nameOf(call.result), hold)
      }
    },
  })

  const end = (message, outcome) => {
    const span = holds.get(nameOf(message))
    holds.delete(nameOf(message))
    if (outcome === 'lost') span?.setStatus({ code: SpanStatusCode.ERROR, message: message.reason })
    span?.setAttribute('lock.outcome', outcome).end()
  }
  const waited = meter.createHistogram('lock.wait', { unit: 'ms' })
  const held = meter.createHistogram('lock.hold', { unit: 'ms' })
  const lost = meter.createCounter('lock.lost')
  channels.subscribe('dist-lock:grant', (grant) => waited.record(grant.waited))
  channels.subscribe('dist-lock:release', (release) => {
    if (release.held !== undefined) held.record(release.held)
    if (release.outcome === 'released') end(release, 'released')
  })
  channels.subscribe('dist-lock:lost', (loss) => {
    lost.add(1)
    end(loss, 'lost')
  })
  for (const name of ['waiting', 'held']) {
    const gauge = meter.createObservableGauge(`lock.${name}`)
    gauge.addCallback((result) => result.observe(locks.stats()[name]))
  }
}

/** Reads when it is asked. A program sends its metrics somewhere instead. */
class Reader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

async function main() {
  const spans = new InMemorySpanExporter()
  const spanProcessors = [new SimpleSpanProcessor(spans)]
  const reader = new Reader()
  const tracer = new BasicTracerProvider({ spanProcessors }).getTracer('dist-lock')
  const meter = new MeterProvider({ readers: [reader] }).getMeter('dist-lock')
  const locks = distLock(process.env.REDIS_URL || 'memory:')
  instrument(tracer, meter, locks)

  const first = await locks.acquire('report', 'ada')
  const waiting = locks.acquire('report', 'bob')
  await locks.acquire('report', { owner: 'eve', timeout: 0 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await first.release()
  const second = await waiting
  await second.extend(1) // too short: it is lost
  if (!second.signal.aborted) await once(second.signal, 'abort')

  for (const { name, attributes, duration } of spans.getFinishedSpans()) {
    const { 'lock.owner': owner, 'lock.outcome': outcome } = attributes
    const milliseconds = Math.round(duration[0] * 1e3 + duration[1] / 1e6)
    console.log(`${name.padEnd(12)} ${owner} ${outcome.padEnd(8)} ${milliseconds} ms`)
  }
  const { resourceMetrics } = await reader.collect()
  for (const { descriptor, dataPoints } of resourceMetrics.scopeMetrics[0].metrics) {
    const value = dataPoints[0]?.value
    console.log(descriptor.name.padEnd(12), value?.count ?? value)
  }
  await locks.close()
}

main()
