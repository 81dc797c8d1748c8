//! The steps in Redis: scripts over a connection to each server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use futures_util::TryFutureExt;

use super::{
    Acquired, AcquiredAll, Backend, Beat, Holder, Listing, Messages, Mode, Released, Text, Waiter,
};
use crate::clock::Moment;
use crate::error::{Cause, Error, Result};
use crate::key;

mod answer;
mod batch;
pub mod cluster;
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
mod servers;
pub mod settings;
mod socket;
mod step;
mod succession;
pub mod tls;
mod transport;
mod verifier;
mod wire;

pub use cluster::Cluster;
use connection::Connection;
use direct::Direct;
use opener::Opener;
pub use servers::Servers;
pub use settings::Settings;
use step::{Action, Step};

/// Locks in one Redis server, or in the nodes of a [`Cluster`].
#[derive(Debug)]
pub struct Redis<S = Connection> {
    servers: S,
}

impl Redis {
    /// The server that `settings` name; it is connected to at the first step. An error names
    /// what cannot be used in them.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Redis { servers: Connection::new(Arc::new(Opener::new(settings)?)) })
    }

    /// A link of its own for one thread, see [`Direct`]; `None` where there can be none.
    pub fn direct(&self, opened: direct::Opened) -> Option<Arc<Direct>> {
        self.servers.direct(opened)
    }
}

impl Redis<Cluster> {
    /// The Cluster that `settings` name; its nodes are looked for at the first step. An error names
    /// what cannot be used in them.
    pub fn cluster(settings: cluster::Settings) -> Result<Self> {
        Ok(Redis { servers: Cluster::new(settings)? })
    }
}

impl<S: Servers> Redis<S> {
    fn ask(&self, key: &Text, action: Action) -> impl Future<Output = Result<Value>> + Send {
        self.servers.ask(Step::new(key.clone(), action))
    }

    /// The same for what may take a queue.
    fn ask_queue(&self, key: &Text, action: Action) -> impl Future<Output = Result<Value>> + Send {
        self.ask(key, action).or_else(move |error| async move {
            match error {
                Error::Redis { code, .. } if code == script::UNSUPPORTED => {
                    Err(Box::pin(self.has_no_queue()).await)
                }
                error => Err(error),
            }
        })
    }

    async fn has_no_queue(&self) -> Error {
        let reason = match self.servers.mode().await {
            Ok(Mode::Classic(reason)) => reason,
            Ok(Mode::Queue) => String::new(),
            Err(error) => return error,
        };
        Error::Unsupported(Cause::new(format!("this takes a queue, and there is none ({reason})")))
    }
}

impl<S: Servers> Redis<S> {
    /// Where there is no queue: the holders, one after the other.
    async fn list_classic(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        let mut listings = Vec::with_capacity(keys.len());
        for key in keys {
            match self.read(key).await {
                Ok(holder) => {
                    let holders = holder.into_iter().collect();
                    listings.push(Listing { key: key.clone(), holders, waiters: Vec::new() });
                }
                // Somebody's key with such a name is no lock.
                Err(Error::Redis { code, .. }) if code == "WRONGTYPE" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(listings)
    }
}

impl<S: Servers> Backend for Redis<S> {
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        let action = Action::Acquire { waiter: waiter.clone(), wait };
        answer::acquired(self.ask_queue(key, action).await?)
    }

    async fn acquire_all(&self, wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        let Some((first, _)) = wanted.first() else { return Ok(AcquiredAll::Taken(0)) };
        let action = Action::All { wanted: wanted.into() };
        answer::acquired_all(self.ask_queue(first, action).await?, wanted.len())
    }

    async fn steal(&self, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        let action = Action::Steal { waiter: waiter.clone() };
        answer::acquired(self.ask_queue(key, action).await?)
    }

    async fn force(&self, key: &Text) -> Result<Released> {
        answer::released(self.ask_queue(key, Action::Force).await?)
    }

    async fn names(&self, prefix: &str) -> Result<Vec<Text>> {
        let found = self.servers.scan(prefix).await?;
        let mut names: BTreeSet<Text> = found.into_iter().map(Text::from).collect();
        let queues = self.servers.scan(key::QUEUE).await?;
        let waited_for = queues.iter().filter_map(|queue| key::lock_of(queue));
        names.extend(waited_for.filter(|lock| lock.starts_with(prefix)).map(Text::from));
        Ok(names.into_iter().collect())
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        if let Mode::Classic(_) = self.servers.mode().await? {
            return self.list_classic(keys).await;
        }
        let listed = self.servers.list(keys).await?;
        keys.iter().zip(listed).map(|(key, answer)| answer::listing(key.clone(), answer)).collect()
    }

    fn process(&self) -> &Text {
        self.servers.process()
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        let action = Action::Release { id: id.clone() };
        answer::released(self.ask(key, action).await?)
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        // Redis knows no negative zero.
        let milliseconds = (milliseconds + 0.0).to_string();
        let action = Action::Extend { id: id.clone(), milliseconds };
        answer::released(self.ask(key, action).await?)
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        let action = Action::Abandon { waiter: waiter.clone() };
        answer::released(self.ask(key, action).await?)
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        let action = Action::Beat { first: first.clone(), delay };
        answer::beaten(self.ask(key, action).await?)
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        answer::holder(self.ask(key, Action::Read).await?)
    }

    async fn subscribe(&self) -> Result<Messages> {
        self.servers.subscribe().await
    }

    async fn mode(&self) -> Result<Mode> {
        self.servers.mode().await
    }

    async fn describe(&self) -> Result<Option<String>> {
        self.servers.describe().await.map(Some)
    }

    fn is_connected(&self) -> bool {
        self.servers.is_connected()
    }

    async fn moved(&self) {
        self.servers.moved().await
    }

    fn proves_grants(&self) -> bool {
        self.servers.proves_grants()
    }

    fn settles_until(&self) -> Option<Moment> {
        self.servers.settles_until()
    }
}
