//! Everything that decides which Cluster is spoken to, and as whom.

use std::collections::BTreeMap;

use crate::backend::redis;
use crate::backend::redis::settings::Endpoint;

/// How to connect to a Cluster. Equal settings share one connection to each node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How to connect to each node, but for where it listens.
    pub node: redis::Settings,
    /// Some that can be asked for the others.
    pub seeds: Vec<Endpoint>,
    /// Where a node is reached that says to be at `host:port`.
    pub nat_map: BTreeMap<String, (String, u16)>,
}

/// Where a node says that it, or another, listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or address, an IPv6 one without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Settings {
    /// Where a node that says to be at `address` is reached.
    pub fn reached(&self, Address { host, port }: Address) -> Endpoint {
        let mapped = self.nat_map.get(&format!("{host}:{port}")).cloned();
        let (host, port) = mapped.unwrap_or((host, port));
        let family = self.seeds.iter().find_map(|seed| match seed {
            Endpoint::Tcp { family, .. } => *family,
            Endpoint::Unix(_) => None,
        });
        Endpoint::Tcp { host, port, family }
    }
}

impl From<&Endpoint> for Address {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Tcp { host, port, .. } => Address { host: host.clone(), port: *port },
            // Nodes do not listen on one alone.
            Endpoint::Unix(path) => Address { host: path.display().to_string(), port: 0 },
        }
    }
}
