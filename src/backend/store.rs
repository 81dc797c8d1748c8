//! The store that some settings name: one of the places that carry out the steps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Acquired, AcquiredAll, Backend, Beat, Holder, Listing, Memory, Messages, Mode, Quorum, Redis,
    Released, Text, Waiter, memory, quorum, redis,
};
use crate::clock::Moment;
use crate::error::Result;

/// Where locks are kept. Equal settings share one store and its connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Settings {
    /// In this process, under a name of their own.
    Memory(String),
    /// In a Redis server.
    Redis(Box<redis::Settings>),
    /// In a Redis Cluster.
    Cluster(Box<redis::cluster::Settings>),
    /// With a majority of several independent stores.
    Quorum(quorum::Settings),
}

impl Settings {
    /// How long a call bears having no connection.
    pub fn patience(&self) -> Duration {
        match self {
            Settings::Memory(_) => Duration::ZERO,
            Settings::Redis(settings) => settings.connect_timeout,
            Settings::Cluster(settings) => settings.node.connect_timeout,
            Settings::Quorum(settings) => {
                settings.members.iter().map(Settings::patience).max().unwrap_or_default()
            }
        }
    }
}

/// What people call a store. Shows no password.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Settings::Memory(name) => write!(f, "memory:{name}"),
            Settings::Redis(settings) => settings.target.fmt(f),
            Settings::Cluster(settings) => match settings.seeds.first() {
                Some(seed) => write!(f, "the Cluster of {seed}"),
                None => f.write_str("a Cluster"),
            },
            Settings::Quorum(settings) => write!(f, "{} servers", settings.members.len()),
        }
    }
}

/// The store that some [`Settings`] name.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(memory::Client),
    /// In a Redis server.
    Redis(Box<Redis>),
    /// In a Redis Cluster.
    Cluster(Box<Redis<redis::Cluster>>),
    /// With a majority of several independent stores.
    Quorum(Quorum<Store>),
}

impl Store {
    /// The store for `settings`; nothing is connected before the first step.
    pub fn open(settings: &Settings) -> Result<Self> {
        Ok(match settings {
            Settings::Memory(name) => Store::Memory(Memory::named(name).client()),
            Settings::Redis(settings) => Store::Redis(Box::new(Redis::new((**settings).clone())?)),
            Settings::Cluster(settings) => {
                Store::Cluster(Box::new(Redis::cluster((**settings).clone())?))
            }
            Settings::Quorum(settings) => Store::Quorum(Quorum::open(settings)?),
        })
    }

    /// A link of its own for one thread; `None` where there can be none.
    pub fn direct(&self, opened: redis::direct::Opened) -> Option<Arc<redis::direct::Direct>> {
        match self {
            Store::Memory(_) | Store::Cluster(_) | Store::Quorum(_) => None,
            Store::Redis(store) => store.direct(opened),
        }
    }
}

/// Each step goes to the store there is.
macro_rules! either {
    ($self:ident.$step:ident($($argument:expr),*)) => {
        match $self {
            Store::Memory(store) => store.$step($($argument),*).await,
            Store::Redis(store) => store.$step($($argument),*).await,
            // These take more memory for a step than the others should have to; and a quorum is made
            // of stores.
            Store::Cluster(store) => Box::pin(store.$step($($argument),*)).await,
            Store::Quorum(store) => Box::pin(store.$step($($argument),*)).await,
        }
    };
}

impl Backend for Store {
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        either!(self.acquire(key, waiter, wait))
    }

    async fn acquire_all(&self, wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        either!(self.acquire_all(wanted))
    }

    async fn steal(&self, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        either!(self.steal(key, waiter))
    }

    async fn force(&self, key: &Text) -> Result<Released> {
        either!(self.force(key))
    }

    async fn names(&self, prefix: &str) -> Result<Vec<Text>> {
        either!(self.names(prefix))
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        either!(self.list(keys))
    }

    fn process(&self) -> &Text {
        match self {
            Store::Memory(store) => store.process(),
            Store::Redis(store) => store.process(),
            Store::Cluster(store) => store.process(),
            Store::Quorum(store) => store.process(),
        }
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        either!(self.release(key, id))
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        either!(self.extend(key, id, milliseconds))
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        either!(self.abandon(key, waiter))
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        either!(self.beat(key, first, delay))
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        either!(self.read(key))
    }

    async fn subscribe(&self) -> Result<Messages> {
        either!(self.subscribe())
    }

    async fn mode(&self) -> Result<Mode> {
        either!(self.mode())
    }

    async fn describe(&self) -> Result<Option<String>> {
        either!(self.describe())
    }

    fn is_connected(&self) -> bool {
        match self {
            Store::Memory(store) => store.is_connected(),
            Store::Redis(store) => store.is_connected(),
            Store::Cluster(store) => store.is_connected(),
            Store::Quorum(store) => store.is_connected(),
        }
    }

    async fn moved(&self) {
        either!(self.moved())
    }

    fn proves_grants(&self) -> bool {
        match self {
            Store::Memory(store) => store.proves_grants(),
            Store::Redis(store) => store.proves_grants(),
            Store::Cluster(store) => store.proves_grants(),
            Store::Quorum(store) => store.proves_grants(),
        }
    }

    fn settles_until(&self) -> Option<Moment> {
        match self {
            Store::Memory(store) => store.settles_until(),
            Store::Redis(store) => store.settles_until(),
            Store::Cluster(store) => store.settles_until(),
            Store::Quorum(store) => store.settles_until(),
        }
    }

    fn undoes_attempts(&self) -> bool {
        matches!(self, Store::Quorum(_))
    }
}
