//! Connection settings as `lib/source.js` reads them from a client, a URL or an object.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use napi_derive::napi;

use super::environment::Environment;
use crate::backend::Settings;
use crate::backend::quorum::Settings as Quorum;
use crate::backend::redis::cluster::Settings as Cluster;
use crate::backend::redis::settings::{
    Ask, Credentials, Endpoint, Family, Login, Provider, Replication, Sentinels, Settings as Redis,
    Target,
};
use crate::backend::redis::tls::{TlsSettings, Version};
use crate::error::{Cause, Error, Result};

/// How to connect; absent fields are not set.
#[napi(object)]
pub struct ConnectionSettings {
    /// Independent servers, a majority of which holds a lock; nothing else but `node_timeout` counts
    /// then.
    pub members: Option<Vec<ConnectionSettings>>,
    /// Milliseconds one of them is waited for while the others cannot decide.
    pub node_timeout: Option<f64>,
    /// The name of a store in this process; nothing else counts then.
    pub memory: Option<String>,
    /// Name or address of the server.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// 4 or 6, the kind of address to use.
    pub family: Option<u8>,
    /// In place of host and port, some nodes of a Cluster.
    pub cluster: Option<ClusterSettings>,
    /// The path of a unix socket, in place of host and port.
    pub path: Option<String>,
    /// The number of the database.
    pub db: Option<u32>,
    /// The ACL user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The number of a function that is asked for credentials at each connection.
    pub provider: Option<u32>,
    /// Encryption.
    pub tls: Option<TlsOptions>,
    /// Sentinels and the primary they name, in place of host and port.
    pub sentinels: Option<SentinelSettings>,
    /// Milliseconds an attempt to connect may take.
    pub connect_timeout: f64,
    /// Milliseconds a command may wait for its reply.
    pub command_timeout: f64,
    /// Milliseconds for which nothing is granted after another server took over.
    pub failover_settle_time: f64,
    /// How many replicas must have what is granted.
    pub min_replicas: u32,
    /// Milliseconds they may take.
    pub replica_timeout: f64,
}

/// Sentinels, and the primary they are asked for.
#[napi(object)]
pub struct SentinelSettings {
    /// Where they listen.
    pub addresses: Vec<Address>,
    /// What they call the primary.
    pub name: String,
    /// Our ACL user there.
    pub username: Option<String>,
    /// Our password there.
    pub password: Option<String>,
    /// Encryption of what is said to them.
    pub tls: Option<TlsOptions>,
    /// Where a server is reached that they say to be at `host:port`.
    pub nat_map: Option<HashMap<String, Address>>,
}

/// Some nodes of a Cluster.
#[napi(object)]
pub struct ClusterSettings {
    /// Where they listen.
    pub addresses: Vec<Address>,
    /// Where a node is reached that says to be at `host:port`.
    pub nat_map: Option<HashMap<String, Address>>,
}

/// Where a server listens.
#[napi(object)]
pub struct Address {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// 4 or 6, the kind of address to use.
    pub family: Option<u8>,
}

/// The options of Node's `tls.connect` that are honoured.
#[napi(object)]
pub struct TlsOptions {
    /// PEM texts of authorities.
    pub ca: Option<Vec<String>>,
    /// A PEM file of authorities besides the platform's.
    pub extra_ca: Option<String>,
    /// PEM text of our certificate.
    pub cert: Option<String>,
    /// PEM text of its private key.
    pub key: Option<String>,
    /// The name the server must prove.
    pub servername: Option<String>,
    /// `false`: any server will do.
    pub reject_unauthorized: Option<bool>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub min_version: Option<String>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub max_version: Option<String>,
}

impl ConnectionSettings {
    /// The core's settings; `environment` answers for its providers.
    pub fn read(self, environment: &Arc<Environment>) -> napi::Result<Settings> {
        if let Some(members) = self.members {
            let members = members.into_iter().map(|member| member.read(environment));
            let node_timeout = milliseconds(self.node_timeout.unwrap_or(0.0));
            return Ok(Settings::Quorum(Quorum {
                members: members.collect::<napi::Result<_>>()?,
                node_timeout,
            }));
        }
        if let Some(name) = self.memory {
            if self.min_replicas > 0 {
                let reason = "`minReplicas` needs a Redis with replicas: `memory:` has none";
                return Err(napi::Error::from_reason(reason));
            }
            return Ok(Settings::Memory(name));
        }
        let credentials = match (self.provider, self.password) {
            (Some(provider), _) => {
                let environment = Arc::downgrade(environment);
                Credentials::Asked(Provider(Arc::new(Asked { environment, provider })))
            }
            (None, Some(password)) => {
                Credentials::Fixed(Login { username: self.username, password })
            }
            (None, None) => Credentials::None,
        };
        let (seeds, nat_map) = self.cluster.map(ClusterSettings::read).unwrap_or_default();
        let target = match (seeds.first(), self.sentinels, self.path, self.host, self.port) {
            (Some(seed), ..) => Target::Server(seed.clone()),
            (_, Some(sentinels), ..) => Target::Primary(Box::new(sentinels.read()?)),
            (_, _, Some(path), ..) => Target::Server(Endpoint::Unix(path.into())),
            (_, _, None, Some(host), Some(port)) => {
                Target::Server(Address { host, port, family: self.family }.read())
            }
            _ => return Err(napi::Error::from_reason("neither `path` nor `host` and `port`")),
        };
        let redis = Redis {
            target,
            database: self.db.unwrap_or(0),
            credentials,
            tls: self.tls.map(TlsOptions::read).transpose()?,
            connect_timeout: milliseconds(self.connect_timeout),
            command_timeout: milliseconds(self.command_timeout),
            settle_time: milliseconds(self.failover_settle_time),
            replication: (self.min_replicas > 0).then(|| Replication {
                replicas: self.min_replicas,
                timeout: milliseconds(self.replica_timeout),
            }),
        };
        Ok(match seeds.is_empty() {
            true => Settings::Redis(Box::new(redis)),
            false => Settings::Cluster(Box::new(Cluster { node: redis, seeds, nat_map })),
        })
    }
}

impl ClusterSettings {
    fn read(self) -> (Vec<Endpoint>, NatMap) {
        (self.addresses.into_iter().map(Address::read).collect(), nat_map(self.nat_map))
    }
}

/// Where a server is reached that says, or is said, to be at `host:port`.
type NatMap = BTreeMap<String, (String, u16)>;

fn nat_map(map: Option<HashMap<String, Address>>) -> NatMap {
    let outside = |address: Address| (address.host, address.port);
    map.into_iter().flatten().map(|(inside, address)| (inside, outside(address))).collect()
}

impl SentinelSettings {
    fn read(self) -> napi::Result<Sentinels> {
        Ok(Sentinels {
            endpoints: self.addresses.into_iter().map(Address::read).collect(),
            name: self.name,
            login: self.password.map(|password| Login { username: self.username, password }),
            tls: self.tls.map(TlsOptions::read).transpose()?,
            nat_map: nat_map(self.nat_map),
        })
    }
}

impl Address {
    fn read(self) -> Endpoint {
        Endpoint::Tcp { host: self.host, port: self.port, family: family(self.family) }
    }
}

fn milliseconds(number: f64) -> Duration {
    Duration::from_secs_f64(number / 1000.0)
}

impl TlsOptions {
    fn read(self) -> napi::Result<TlsSettings> {
        Ok(TlsSettings {
            ca: self.ca.unwrap_or_default(),
            extra_ca: self.extra_ca.into_iter().collect(),
            cert: self.cert,
            key: self.key,
            servername: self.servername,
            accept_any: self.reject_unauthorized == Some(false),
            min_version: version(self.min_version)?,
            max_version: version(self.max_version)?,
        })
    }
}

fn version(name: Option<String>) -> napi::Result<Option<Version>> {
    match name.as_deref() {
        None => Ok(None),
        Some("TLSv1.2") => Ok(Some(Version::Tls12)),
        Some("TLSv1.3") => Ok(Some(Version::Tls13)),
        Some(other) => Err(napi::Error::from_reason(format!("no version of TLS: {other:?}"))),
    }
}

fn family(number: Option<u8>) -> Option<Family> {
    match number {
        Some(4) => Some(Family::V4),
        Some(6) => Some(Family::V6),
        _ => None,
    }
}

/// A function of an environment that gives credentials.
struct Asked {
    environment: Weak<Environment>,
    provider: u32,
}

impl Ask for Asked {
    fn ask(&self) -> Pin<Box<dyn Future<Output = Result<Option<Login>>> + Send>> {
        let (environment, provider) = (self.environment.upgrade(), self.provider);
        Box::pin(async move {
            match environment {
                Some(environment) => environment.ask(provider).await,
                None => Err(Error::Unreachable(Cause::new("the thread with the password ended"))),
            }
        })
    }

    fn identity(&self) -> (usize, u32) {
        (self.environment.as_ptr() as usize, self.provider)
    }
}
