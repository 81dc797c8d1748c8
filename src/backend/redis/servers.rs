//! What carries the steps of a store: one server, or the nodes of a Cluster.

use redis::Value;

use super::connection::Connection;
use super::messages;
use super::step::{Action, Step};
use crate::backend::{Messages, Mode};
use crate::clock::Moment;
use crate::error::{Error, Result};

/// What carries the steps of a store.
pub trait Servers: Send + Sync + 'static {
    /// Sends `step` to the server that has its key, and returns the reply.
    fn ask(&self, step: Step) -> impl Future<Output = Result<Value>> + Send;

    /// [`crate::Backend::subscribe`].
    fn subscribe(&self) -> impl Future<Output = Result<Messages>> + Send;

    /// [`crate::Backend::mode`].
    fn mode(&self) -> impl Future<Output = Result<Mode>> + Send;

    /// What a server says of itself, for people: the text of `INFO`.
    fn describe(&self) -> impl Future<Output = Result<String>> + Send;

    /// [`crate::Backend::is_connected`].
    fn is_connected(&self) -> bool;

    /// [`crate::Backend::moved`].
    fn moved(&self) -> impl Future<Output = ()> + Send;

    /// [`crate::Backend::settles_until`].
    fn settles_until(&self) -> Option<Moment>;

    /// [`crate::Backend::proves_grants`].
    fn proves_grants(&self) -> bool;
}

impl Servers for Connection {
    async fn ask(&self, step: Step) -> Result<Value> {
        self.ask(step).await.map_err(explain)
    }

    async fn subscribe(&self) -> Result<Messages> {
        messages::subscribe(self.opener()).await
    }

    async fn mode(&self) -> Result<Mode> {
        // Any step connects; whether it is allowed does not matter.
        let step = Step { key: self.opener().process().clone(), action: Action::Read, route: None };
        match self.ask(step).await.map_err(explain) {
            Err(Error::Redis { code, .. }) if !is_of_cluster(&code) => {}
            answer => drop(answer?),
        }
        Ok(self.opener().server().mode())
    }

    async fn describe(&self) -> Result<String> {
        self.opener().describe().await
    }

    fn is_connected(&self) -> bool {
        self.is_open()
    }

    async fn moved(&self) {
        self.opener().primary_moved().await
    }

    fn settles_until(&self) -> Option<Moment> {
        self.opener().server().succession().settles_until()
    }

    fn proves_grants(&self) -> bool {
        self.opener().replication().is_some()
    }
}

/// What is said of a server that was taken for the only one, and is a node of a Cluster.
const OF_CLUSTER: &str = "this server is a node of a Redis Cluster: make the manager from \
    redis+cluster://host:port or { cluster: [{ host, port }] }";

/// Whether only a node of a Cluster answers so.
fn is_of_cluster(code: &str) -> bool {
    matches!(code, "MOVED" | "ASK" | "CROSSSLOT")
}

/// What `error` means if there is one server only.
pub fn explain(error: Error) -> Error {
    match error {
        Error::Redis { code, .. } if is_of_cluster(&code) => {
            Error::Redis { code, message: OF_CLUSTER.into() }
        }
        error => error,
    }
}
