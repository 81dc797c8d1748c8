// Clients by their own declarations.

import distLock from 'dist-lock'
import { Cluster as Cluster5, Redis as IORedis5 } from 'ioredis-5'
import { Cluster as Cluster6, Redis as IORedis6 } from 'ioredis-6'
import { Cluster as ValkeyCluster, Redis as Iovalkey } from 'iovalkey-0.4'
import * as redis4 from 'redis-4'
import * as redis5 from 'redis-5'
import * as redis6 from 'redis-6'
import * as client4 from 'redis-client-4'
import * as client5 from 'redis-client-5'
import * as client6 from 'redis-client-6'

distLock(new IORedis5())
distLock(new IORedis6())
distLock(new Iovalkey())
distLock(redis4.createClient())
distLock(redis5.createClient())
distLock(redis6.createClient())
distLock(client4.createClient())
distLock(client5.createClient())
distLock(client6.createClient())

distLock(new Cluster5(['redis://a']))
distLock(new Cluster6(['redis://a']))
distLock(new ValkeyCluster(['redis://a']))
distLock(redis5.createCluster({ rootNodes: [] }))
distLock(redis6.createCluster({ rootNodes: [] }))
distLock(client5.createCluster({ rootNodes: [] }))
distLock(client6.createCluster({ rootNodes: [] }))
