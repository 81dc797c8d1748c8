//! Everything that decides which server is spoken to, and as whom.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::tls::TlsSettings;
use crate::error::{Cause, Error, Result};

/// How to connect. Equal settings share one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Which server is meant.
    pub target: Target,
    /// The number of the database.
    pub database: u32,
    /// Who we are.
    pub credentials: Credentials,
    /// Encryption, if any.
    pub tls: Option<TlsSettings>,
    /// How long a call bears having no connection.
    pub connect_timeout: Duration,
    /// How long one command may wait for its reply.
    pub command_timeout: Duration,
    /// For how long nothing is granted after another server took over, which may not know of
    /// locks that are held.
    pub settle_time: Duration,
    /// How many replicas must have what is granted, if any.
    pub replication: Option<Replication>,
}

/// How a grant is proven to be known by more servers than the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replication {
    /// The least number of replicas that have it.
    pub replicas: u32,
    /// How long they may take.
    pub timeout: Duration,
}

impl Settings {
    /// How long one attempt to connect may take. Several fit into the time a call bears: one that
    /// got stuck on its way must not use all of it up.
    pub(super) fn attempt_timeout(&self) -> Duration {
        (self.connect_timeout / 4).max(LEAST_ATTEMPT).min(self.connect_timeout)
    }

    /// The error when there was none in time.
    pub(super) fn no_connection_within(&self, limit: Duration) -> Error {
        Error::Unreachable(Cause::timeout(&format!("{}: no connection", self.target), limit))
    }
}

/// Enough for several round trips around the world, which TLS takes.
const LEAST_ATTEMPT: Duration = Duration::from_secs(2);

/// Which server is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The one that listens there.
    Server(Endpoint),
    /// The primary that sentinels name.
    Primary(Box<Sentinels>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Server(endpoint) => endpoint.fmt(f),
            Target::Primary(sentinels) => write!(f, "the primary {:?}", sentinels.name),
        }
    }
}

/// Sentinels, and the primary they are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sentinels {
    /// Where they listen.
    pub endpoints: Vec<Endpoint>,
    /// What they call the primary.
    pub name: String,
    /// Who we are to them.
    pub login: Option<Login>,
    /// Encryption of what is said to them, if any.
    pub tls: Option<TlsSettings>,
    /// Where a server is reached that they say to be at `host:port`.
    pub nat_map: BTreeMap<String, (String, u16)>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host name or address and a port.
    Tcp {
        /// Name or address, an IPv6 one without brackets.
        host: String,
        /// Port.
        port: u16,
        /// The kind of address to use where the name has several.
        family: Option<Family>,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A kind of internet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Who we are to the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// The same at each connection.
    Fixed(Login),
    /// Asked for at each connection.
    Asked(Provider),
}

/// A user's password; without a user, the password of the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The ACL user.
    pub username: Option<String>,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::None => "None",
            Credentials::Fixed(_) => "Fixed(…)",
            Credentials::Asked(_) => "Asked(…)",
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// Supplies credentials when a connection is made. Equal only to itself and its clones.
#[derive(Clone)]
pub struct Provider(pub Arc<dyn Ask>);

/// What a [`Provider`] does.
pub trait Ask: Send + Sync {
    /// The credentials to use now; `None` for no authentication.
    fn ask(&self) -> Pin<Box<dyn Future<Output = Result<Option<Login>>> + Send>>;

    /// Providers with the same identity give the same credentials.
    fn identity(&self) -> (usize, u32);
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.0.identity() == other.0.identity()
    }
}

impl Eq for Provider {}

impl Hash for Provider {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.identity().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let login = Login { username: Some("ann".into()), password: "s3cret".into() };

        let printed = format!("{login:?} {:?}", Credentials::Fixed(login.clone()));

        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
