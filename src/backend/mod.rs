//! The atomic steps every lock is made of, and the two places that carry them out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

pub mod memory;
pub mod redis;

pub use memory::Memory;
pub use redis::Redis;

/// A key, an id or an owner, handed from layer to layer without copying it.
pub type Text = Arc<str>;

/// A store of locks. Each step is one atomic decision, and safe to repeat with the same id.
pub trait Backend: Send + Sync + 'static {
    /// Takes `key` for `id`, or renews it if `id` holds it already. `false`: somebody else
    /// holds it.
    fn acquire(
        &self,
        key: &Text,
        id: &Text,
        owner: &Text,
        ttl: Duration,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Frees `key`. `false`: `id` does not hold it.
    fn release(&self, key: &Text, id: &Text) -> impl Future<Output = Result<bool>> + Send;

    /// Sets the remaining time of `key` to `milliseconds`; zero or less frees it. `false`: `id`
    /// does not hold it. A number that is not whole is an error, as it is for `PEXPIRE`.
    fn extend(
        &self,
        key: &Text,
        id: &Text,
        milliseconds: f64,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Who holds `key`. `None`: nobody.
    fn read(&self, key: &Text) -> impl Future<Output = Result<Option<Holder>>> + Send;

    /// Whether a step would be sent now, without connecting first.
    fn is_connected(&self) -> bool;
}

/// Who holds a key, as the store says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The id of the lock.
    pub id: String,
    /// The owner's free text; `None` if the lock was written without one.
    pub owner: Option<String>,
}

/// Where locks are kept. Equal settings share one store and its connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Settings {
    /// In this process, under a name of their own.
    Memory(String),
    /// In a Redis server.
    Redis(Box<redis::Settings>),
}

/// The store that some [`Settings`] name.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(Arc<Memory>),
    /// In a Redis server.
    Redis(Box<Redis>),
}

impl Store {
    /// The store for `settings`; nothing is connected before the first step.
    pub fn open(settings: &Settings) -> Result<Self> {
        Ok(match settings {
            Settings::Memory(name) => Store::Memory(Memory::named(name)),
            Settings::Redis(settings) => Store::Redis(Box::new(Redis::new((**settings).clone())?)),
        })
    }

    /// A link of its own for one thread; `None` where there can be none.
    pub fn direct(&self, opened: redis::direct::Opened) -> Option<Arc<redis::direct::Direct>> {
        match self {
            Store::Memory(_) => None,
            Store::Redis(store) => store.direct(opened),
        }
    }
}

impl Backend for Store {
    async fn acquire(&self, key: &Text, id: &Text, owner: &Text, ttl: Duration) -> Result<bool> {
        match self {
            Store::Memory(store) => store.acquire(key, id, owner, ttl).await,
            Store::Redis(store) => store.acquire(key, id, owner, ttl).await,
        }
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<bool> {
        match self {
            Store::Memory(store) => store.release(key, id).await,
            Store::Redis(store) => store.release(key, id).await,
        }
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<bool> {
        match self {
            Store::Memory(store) => store.extend(key, id, milliseconds).await,
            Store::Redis(store) => store.extend(key, id, milliseconds).await,
        }
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        match self {
            Store::Memory(store) => store.read(key).await,
            Store::Redis(store) => store.read(key).await,
        }
    }

    fn is_connected(&self) -> bool {
        match self {
            Store::Memory(store) => store.is_connected(),
            Store::Redis(store) => store.is_connected(),
        }
    }
}
