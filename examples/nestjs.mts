// Locks in NestJS: a module that provides the manager and closes it with the application, and a service that
// uses it. Runs on the Redis at REDIS_URL, or without any; `npm install && npm run nestjs` in this directory.

import 'reflect-metadata'
import { Global, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import distLock from '../index.js' // elsewhere: from 'dist-lock'

const LOCKS = Symbol('locks')

@Global()
@Module({
  providers: [{ provide: LOCKS, useFactory: () => distLock(process.env.REDIS_URL || 'memory:') }],
  exports: [LOCKS],
})
class LocksModule implements OnApplicationShutdown {
  constructor(@Inject(LOCKS) private readonly locks: distLock.DistLock) {}

  onApplicationShutdown() {
    return this.locks.close({ release: true })
  }
}

/** Sends each invoice once, however many instances are asked to. */
@Injectable()
class InvoiceService {
  private readonly sent = new Set<string>()

  constructor(@Inject(LOCKS) private readonly locks: distLock.DistLock) {}

  send(invoice: string): Promise<'sent' | 'sent before'> {
    return this.locks.request(`invoice:${invoice}`, async () => {
      if (this.sent.has(invoice)) return 'sent before'
      await new Promise((resolve) => setTimeout(resolve, 20)) // what it takes to send it
      this.sent.add(invoice)
      return 'sent'
    })
  }
}

@Module({ imports: [LocksModule], providers: [InvoiceService] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false })
app.enableShutdownHooks()

const invoices = app.get(InvoiceService)
console.log(await Promise.all([invoices.send('42'), invoices.send('42')]))
await app.close()
