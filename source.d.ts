/**
 * Where the locks are: one server, or a list of independent ones.
 *
 * With a list a lock is held by whoever has it on a majority of the servers, so it outlives the loss of
 * any minority of them. An odd number is best: four servers bear the loss of one, as three do. They must
 * know nothing of each other, and each keep its data or stay away for the longest `ttl` when it is
 * restarted. There is no queue and no fencing token; the manager is closed when so many of its clients
 * are that the others are no majority.
 */
export type Source = SourceOfOne | readonly SourceOfOne[]

/**
 * One server: a client, a URL or settings.
 *
 * - `redis://[[username]:password@]host[:port][/db]`, or `valkey://…`
 * - `rediss://…`, `valkeys://…`: the same with TLS
 * - `redis+sentinel://[[username]:password@]host[:port][,host[:port]…][/db]?name=mymaster`: the
 *   primary that these sentinels name; credentials are the primary's, those of the sentinels are the
 *   parameters `sentinelUsername` and `sentinelPassword`; `rediss+sentinel://` with TLS to both
 * - `unix:///path/to/redis.sock[?db=1]`
 * - `redis+cluster://[[username]:password@]host[:port][,host[:port]…]`: a Cluster, by some of its
 *   nodes; also `valkey+cluster:`, and with TLS `rediss+cluster:`, `valkeys+cluster:`
 * - `memory:` or `memory:name`: no server; locks among the threads of this process
 */
export type SourceOfOne = Client | Settings | Url | string

/**
 * A client object, connected or not: node_redis 0.8 to 3, `redis` and `@redis/client` 4 to 6,
 * ioredis 3 to 6 (with `sentinels`, too), or iovalkey; for a Cluster, a cluster client of one of these, but for
 * `redis` 4. That and a client made by `createSentinel` keep their options to themselves: pass them as
 * settings. Its server, database, credentials, TLS settings and key prefix are
 * read when they are needed, so they may change until then.
 */
export type Client = NodeRedisClient | LegacyNodeRedisClient | IORedisClient | ClusterClient

/** A client of `redis` or `@redis/client`, 4 to 6. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(...args: any[]): any
}

/** A client of `redis`, 0.8 to 3. */
export interface LegacyNodeRedisClient {
  send_command(...args: any[]): any
}

/** A client of ioredis or iovalkey. */
export interface IORedisClient {
  sendCommand(...args: any[]): any
  readonly status: string
  readonly options: object
}

/** A cluster client of ioredis or iovalkey, or of `redis` or `@redis/client`, 5 and 6. */
export type ClusterClient = IORedisCluster | NodeRedisCluster

export interface IORedisCluster {
  readonly isCluster?: boolean
  nodes(role?: any): any[]
}

export interface NodeRedisCluster {
  readonly masters: any[]
  readonly slots: any[]
}

/** A `URL` object. */
export interface Url {
  readonly href: string
  readonly protocol: string
}

/**
 * The server by its `host`, by the `path` of its unix socket, or by `sentinels` that name it; or some nodes
 * of a Cluster.
 */
export type Settings = HostSettings | SocketSettings | SentinelSettings | ClusterSettings

export interface HostSettings extends CommonSettings {
  /** Its name or address. */
  host: string

  /** @default 6379 */
  port?: number

  /**
   * The kind of address to use where the host has several: 4 for IPv4, 6 for IPv6, 0 for either.
   * @default 0
   */
  family?: 0 | 4 | 6

  /**
   * Encrypts the connection: `true`, or how.
   * @default false
   */
  tls?: boolean | TlsSettings

  path?: undefined
  sentinels?: undefined
  cluster?: undefined
}

export interface ClusterSettings extends CommonSettings {
  /**
   * Some of the nodes: any that answers tells of the others. `{ host, port }`, a URL, or
   * `'host:port'`.
   */
  cluster: readonly (ClusterNode | Url | string)[]

  /**
   * Where nodes are to be found whose own addresses cannot be reached from here, by these addresses.
   * @default none
   */
  natMap?: { readonly [address: string]: { readonly host: string; readonly port: number } }

  /**
   * The kind of address to use where a host has several: 4 for IPv4, 6 for IPv6, 0 for either.
   * @default 0
   */
  family?: 0 | 4 | 6

  /**
   * Encrypts the connections: `true`, or how.
   * @default false
   */
  tls?: boolean | TlsSettings

  /**
   * A Cluster has one database.
   * @default 0
   */
  db?: 0

  host?: undefined
  path?: undefined
  sentinels?: undefined
}

/** A node of a Cluster. */
export interface ClusterNode {
  /** Its name or address. */
  host: string

  /** @default 6379 */
  port?: number
}

export interface SocketSettings extends CommonSettings {
  /** The unix socket it listens on. */
  path: string

  host?: undefined
  sentinels?: undefined
  cluster?: undefined
  tls?: false
}

export interface SentinelSettings extends CommonSettings {
  /** The sentinels; all that there are, so that one that is down is no harm. */
  sentinels: readonly SentinelAddress[]

  /** What the sentinels call the primary. */
  name: string

  /**
   * Our ACL user at the sentinels.
   * @default none
   */
  sentinelUsername?: string

  /**
   * Our password at the sentinels; `password` is for the primary.
   * @default none
   */
  sentinelPassword?: string

  /**
   * Encrypts what is said to the sentinels: `true`, or how.
   * @default false
   */
  sentinelTLS?: boolean | TlsSettings

  /**
   * Encrypts what is said to the primary: `true`, or how.
   * @default false
   */
  tls?: boolean | TlsSettings

  /**
   * Where a server is reached that the sentinels say to be at `host:port`.
   * @default none
   */
  natMap?: { readonly [address: string]: { readonly host: string; readonly port: number } }

  host?: undefined
  path?: undefined
  cluster?: undefined
}

export interface SentinelAddress {
  /** Its name or address. */
  host: string

  /** @default 26379 */
  port?: number

  /**
   * The kind of address to use: 4 for IPv4, 6 for IPv6, 0 for either.
   * @default 0
   */
  family?: 0 | 4 | 6
}

export interface CommonSettings {
  /**
   * The number of the database.
   * @default 0
   */
  db?: number

  /**
   * The ACL user.
   * @default none: Redis takes the user `default`
   */
  username?: string

  /**
   * The password, or a function that is called for it at each connection: for tokens that expire.
   * @default none
   */
  password?: string | (() => string | Promise<string>)

  /**
   * Called at each connection for both user and password; instead of `username` and `password`. Where
   * Redis refuses what it gave it is called again, until the deadline of the call that needs it.
   * @default none
   */
  credentials?: () => Credentials | Promise<Credentials>

  /**
   * What goes before every key without being part of `lock.key`, like the prefix that clients
   * have. Set it where other processes make their managers from a client with this prefix.
   * @default ''
   */
  keyPrefix?: string
}

export interface Credentials {
  username?: string
  password?: string
}

/** TLS, in the words of Node's `tls.connect`. Its other options are refused, not ignored. */
export interface TlsSettings {
  /**
   * The authorities to trust, instead of the default ones.
   * @default those of the system and of `NODE_EXTRA_CA_CERTS`
   */
  ca?: Pem | readonly Pem[]

  /**
   * Our certificate, with its `key`, where the server asks for one.
   * @default none
   */
  cert?: Pem

  /**
   * The private key of `cert`.
   * @default none
   */
  key?: Pem

  /**
   * What decrypts `key`.
   * @default none
   */
  passphrase?: string

  /**
   * The name the server's certificate must be for.
   * @default the host
   */
  servername?: string

  /**
   * `false` accepts any certificate: whoever is between us and Redis can then read and change
   * everything.
   * @default true
   */
  rejectUnauthorized?: boolean

  /** @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'

  /** @default 'TLSv1.3' */
  maxVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** PEM: the text, or a `Buffer` of it; not the name of a file. */
export type Pem = string | Uint8Array
