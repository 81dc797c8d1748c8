//! One node of a Cluster: the connections to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::listener::{Ear, Listener};
use crate::backend::redis::connection::Connection;
use crate::backend::redis::opener::Opener;
use crate::backend::redis::servers::Servers;
use crate::backend::redis::settings::Endpoint;
use crate::backend::redis::step::Step;
use crate::error::Result;
use crate::mutex::lock;

/// A node that has no slots is kept for this long: it may be about to get some.
const KEPT: Duration = Duration::from_secs(60);

/// One node of a Cluster. Dropping it closes its connections once the steps that are under way are
/// answered.
#[derive(Debug)]
pub struct Node {
    endpoint: Endpoint,
    connection: Connection,
    listener: Mutex<Option<Arc<Listener>>>,
    used: Mutex<Instant>,
}

impl Node {
    /// The node at `endpoint`, reached as `opener` reaches others, with the messages it has for us going
    /// to `ear`.
    pub fn new(endpoint: Endpoint, opener: &Opener, ear: Option<&Arc<Ear>>) -> Self {
        let node = Node {
            connection: Connection::new(Arc::new(opener.elsewhere(endpoint.clone()))),
            endpoint,
            listener: Mutex::default(),
            used: Mutex::new(Instant::now()),
        };
        if let Some(ear) = ear {
            node.listen(ear);
        }
        node
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What makes connections to it.
    pub fn opener(&self) -> &Arc<Opener> {
        self.connection.opener()
    }

    /// Whether there is a connection for steps now.
    pub fn is_connected(&self) -> bool {
        self.connection.is_open()
    }

    /// Whether it was not used for a while.
    pub fn is_unused(&self) -> bool {
        lock(&self.used).elapsed() >= KEPT
    }

    /// Sends `step` to it and returns the reply.
    pub async fn ask(&self, step: Step) -> Result<Value> {
        *lock(&self.used) = Instant::now();
        if step.joins() {
            // Who waits where no messages come from would be passed over.
            let listener = lock(&self.listener).clone();
            if let Some(listener) = listener {
                listener.hears().await?;
            }
        }
        self.connection.ask(step).await
    }

    /// The keys it has that begin with `prefix`.
    pub async fn scan(&self, prefix: &str) -> Result<Vec<String>> {
        self.connection.scan(prefix).await
    }

    /// The messages it has for us go to `ear` from now on.
    pub fn listen(&self, ear: &Arc<Ear>) -> Arc<Listener> {
        let listener = Arc::new(Listener::start(self.opener().clone(), ear.clone()));
        *lock(&self.listener) = Some(listener.clone());
        listener
    }
}
