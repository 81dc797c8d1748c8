//! The steps in a Redis server: scripts over one connection.

use std::time::Duration;

use super::{Backend, Holder};
use crate::error::Result;

mod connection;
mod link;
mod script;
pub mod settings;
mod step;
pub mod tls;
mod transport;
mod verifier;

use connection::Connection;
pub use settings::Settings;
use step::Step;

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
}

impl Backend for Redis {
    async fn acquire(&self, key: &str, id: &str, owner: &str, ttl: Duration) -> Result<bool> {
        let step = Step::Acquire {
            key: key.to_owned(),
            id: id.to_owned(),
            owner: owner.to_owned(),
            ttl: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        };
        step::done(self.connection.ask(step).await?)
    }

    async fn release(&self, key: &str, id: &str) -> Result<bool> {
        let step = Step::Release { key: key.to_owned(), id: id.to_owned() };
        step::done(self.connection.ask(step).await?)
    }

    async fn extend(&self, key: &str, id: &str, milliseconds: f64) -> Result<bool> {
        let step = Step::Extend {
            key: key.to_owned(),
            id: id.to_owned(),
            milliseconds: milliseconds.to_string(),
        };
        step::done(self.connection.ask(step).await?)
    }

    async fn read(&self, key: &str) -> Result<Option<Holder>> {
        let step = Step::Read { key: key.to_owned() };
        step::holder(self.connection.ask(step).await?)
    }

    fn is_connected(&self) -> bool {
        self.connection.is_open()
    }
}
