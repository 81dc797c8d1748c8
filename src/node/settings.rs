//! Connection settings as `lib/source.js` reads them from a client, a URL or an object.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use napi_derive::napi;

use super::environment::Environment;
use crate::backend::Settings;
use crate::backend::redis::settings::{
    Ask, Credentials, Endpoint, Family, Login, Provider, Settings as Redis,
};
use crate::backend::redis::tls::{TlsSettings, Version};
use crate::error::{Cause, Error, Result};

/// How to connect; absent fields are not set.
#[napi(object)]
pub struct ConnectionSettings {
    /// The name of a store in this process; nothing else counts then.
    pub memory: Option<String>,
    /// Name or address of the server.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// 4 or 6, the kind of address to use.
    pub family: Option<u8>,
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
    /// Milliseconds an attempt to connect may take.
    pub connect_timeout: f64,
    /// Milliseconds a command may wait for its reply.
    pub command_timeout: f64,
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
        if let Some(name) = self.memory {
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
        let endpoint = match (self.path, self.host, self.port) {
            (Some(path), ..) => Endpoint::Unix(path.into()),
            (None, Some(host), Some(port)) => {
                Endpoint::Tcp { host, port, family: family(self.family) }
            }
            _ => return Err(napi::Error::from_reason("neither `path` nor `host` and `port`")),
        };
        Ok(Settings::Redis(Box::new(Redis {
            endpoint,
            database: self.db.unwrap_or(0),
            credentials,
            tls: self.tls.map(TlsOptions::read).transpose()?,
            connect_timeout: Duration::from_secs_f64(self.connect_timeout / 1000.0),
            command_timeout: Duration::from_secs_f64(self.command_timeout / 1000.0),
        })))
    }
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
