//! The steps in a Redis server: scripts over one connection.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::{Acquired, Backend, Beat, Holder, Messages, Mode, Released, Text, Waiter};
use crate::clock::Moment;
use crate::error::{Error, Result};

mod batch;
mod connection;
pub mod direct;
mod eviction;
mod greeting;
mod link;
mod messages;
mod opener;
mod primary;
mod proof;
mod pushes;
mod reach;
mod reply;
mod script;
mod sentinel;
mod server;
pub mod settings;
mod socket;
mod step;
mod succession;
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
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        let action = Action::Acquire { waiter: waiter.clone(), wait };
        step::acquired(self.ask(key, action).await?)
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        let action = Action::Release { id: id.clone() };
        step::released(self.ask(key, action).await?)
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        // Redis knows no negative zero.
        let milliseconds = (milliseconds + 0.0).to_string();
        let action = Action::Extend { id: id.clone(), milliseconds };
        step::released(self.ask(key, action).await?)
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        let action = Action::Abandon { waiter: waiter.clone() };
        step::released(self.ask(key, action).await?)
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        let action = Action::Beat { first: first.clone(), delay };
        step::beaten(self.ask(key, action).await?)
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        step::holder(self.ask(key, Action::Read).await?)
    }

    async fn subscribe(&self) -> Result<Messages> {
        messages::subscribe(self.connection.opener()).await
    }

    async fn mode(&self) -> Result<Mode> {
        // Any step connects; whether it is allowed does not matter.
        match self.ask(self.connection.opener().process(), Action::Read).await {
            Ok(_) | Err(Error::Redis { .. }) => Ok(self.connection.opener().server().mode()),
            Err(error) => Err(error),
        }
    }

    async fn describe(&self) -> Result<Option<String>> {
        self.connection.opener().describe().await.map(Some)
    }

    fn is_connected(&self) -> bool {
        self.connection.is_open()
    }

    async fn moved(&self) {
        self.connection.opener().primary_moved().await
    }

    fn proves_grants(&self) -> bool {
        self.connection.opener().replication().is_some()
    }

    fn settles_until(&self) -> Option<Moment> {
        self.connection.opener().server().succession().settles_until()
    }
}
