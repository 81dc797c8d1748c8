//! The steps in a Redis server: scripts over one connection.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::{Backend, Holder, Text};
use crate::error::Result;

mod batch;
mod connection;
pub mod direct;
mod greeting;
mod link;
mod opener;
mod reply;
mod script;
pub mod settings;
mod socket;
mod step;
pub mod tls;
mod transport;
mod verifier;
mod wire;

use connection::Connection;
use direct::Direct;
pub use settings::Settings;
use step::{Action, Step};

/// Locks in a Redis server.
#[derive(Debug)]
pub struct Redis {
    connection: Connection,
}

impl Redis {
    /// The server that `settings` name; it is connected to at the first step. An error names
    /// what cannot be used in them.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Redis { connection: Connection::new(settings)? })
    }

    /// A link of its own for one thread, see [`Direct`]; `None` where there can be none.
    pub fn direct(&self, opened: direct::Opened) -> Option<Arc<Direct>> {
        self.connection.direct(opened)
    }

    async fn ask(&self, key: &Text, action: Action) -> Result<Value> {
        self.connection.ask(Step { key: key.clone(), action }).await
    }
}

impl Backend for Redis {
    async fn acquire(&self, key: &Text, id: &Text, owner: &Text, ttl: Duration) -> Result<bool> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let action = Action::Acquire { id: id.clone(), owner: owner.clone(), ttl };
        step::done(self.ask(key, action).await?)
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<bool> {
        let action = Action::Release { id: id.clone() };
        step::done(self.ask(key, action).await?)
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<bool> {
        let milliseconds = milliseconds.to_string();
        let action = Action::Extend { id: id.clone(), milliseconds };
        step::done(self.ask(key, action).await?)
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        step::holder(self.ask(key, Action::Read).await?)
    }

    fn is_connected(&self) -> bool {
        self.connection.is_open()
    }
}
