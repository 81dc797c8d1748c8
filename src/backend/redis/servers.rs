//! What carries the steps of a store: one server, or the nodes of a Cluster.

use futures_util::TryFutureExt;
use redis::Value;

use super::answer;
use super::connection::Connection;
use super::messages;
use super::script;
use super::step::{Action, Step};
use crate::backend::{Messages, Mode, Text};
use crate::clock::Moment;
use crate::error::{Error, Result};

/// The most keys that are listed at one moment: bounds how long other clients wait for that.
const MOST_LISTED: usize = 500;

/// What carries the steps of a store.
pub trait Servers: Send + Sync + 'static {
    /// Sends `step` to the server that has its key, and returns the reply.
    fn ask(&self, step: Step) -> impl Future<Output = Result<Value>> + Send;

    /// The keys that begin with `prefix`.
    fn scan(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// The answers to [`Action::List`] for `keys`.
    fn list(&self, keys: &[Text]) -> impl Future<Output = Result<Vec<Value>>> + Send;

    /// [`crate::Backend::process`].
    fn process(&self) -> &Text;

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
    fn ask(&self, step: Step) -> impl Future<Output = Result<Value>> + Send {
        self.ask(step).map_err(explain)
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<String>> {
        let (mut found, mut cursor) = (Vec::new(), b"0".to_vec());
        loop {
            let action = Action::Command(script::scan(&cursor, prefix));
            let reply = self.ask(Step::new(self.process().clone(), action)).await;
            let (next, keys) = answer::scanned(reply.map_err(explain)?)?;
            found.extend(keys);
            if next == b"0" {
                return Ok(found);
            }
            cursor = next;
        }
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Value>> {
        let mut listed = Vec::with_capacity(keys.len());
        for some in keys.chunks(MOST_LISTED) {
            let steps: Vec<Step> =
                some.iter().map(|key| Step::new(key.clone(), Action::List)).collect();
            // Not by its name: this is rare, and need not be repeated.
            let command = script::command(steps.iter(), self.opener().dialect(true));
            let step = Step::new(self.process().clone(), Action::Command(command));
            let reply = self.ask(step).await.map_err(explain)?;
            for answer in answer::answers(reply, some.len())? {
                listed.push(answer?);
            }
        }
        Ok(listed)
    }

    fn process(&self) -> &Text {
        self.opener().process()
    }

    async fn subscribe(&self) -> Result<Messages> {
        messages::subscribe(self.opener()).await
    }

    async fn mode(&self) -> Result<Mode> {
        // Any step connects; whether it is allowed does not matter.
        let step = Step::new(self.process().clone(), Action::Read);
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
