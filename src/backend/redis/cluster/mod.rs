//! A Redis Cluster: each step goes to the node that has its key, and is asked again where that
//! node says it should go.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use tokio::sync::mpsc::unbounded_channel;

mod listener;
mod map;
mod node;
pub mod settings;
mod slots;
mod topology;

use super::servers::Servers;
use super::step::{Action, Route, Step};
use crate::backend::{Messages, Mode, Text};
use crate::clock::Moment;
use crate::error::{Cause, Error, Result};
use crate::key;
use listener::Ear;
use node::Node;
use settings::Address;
pub use settings::Settings;
use slots::Redirection;
use topology::Topology;

/// The most nodes that one step is sent to; then its caller pauses before it tries again.
const MOST_NODES: usize = 5;

/// The nodes of a Cluster. Replicas are never asked: what they say of a lock may be over.
#[derive(Debug)]
pub struct Cluster {
    topology: Arc<Topology>,
}

impl Cluster {
    /// The Cluster that `settings` name; an error names what cannot be used in them.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Cluster { topology: Arc::new(Topology::new(settings)?) })
    }

    /// What a step failed with may mean that the map is wrong.
    fn in_trouble(&self, error: Error) -> Error {
        match error {
            Error::Unreachable(_) | Error::Unknown(_) => self.topology.look_soon(),
            Error::Redis { .. } if error.is_of_whole_slot() => self.topology.look_soon(),
            _ => {}
        }
        match error {
            // To a node that cannot be named.
            Error::Redis { code, message } if code == "MOVED" || code == "ASK" => {
                Error::Unreachable(Cause::new(format!("{code} {message}")))
            }
            error => error,
        }
    }
}

impl Servers for Cluster {
    async fn ask(&self, step: Step) -> Result<Value> {
        let slot = key::slot(&step.key);
        if let Action::All { wanted } = &step.action
            && wanted.iter().any(|(key, _)| key::slot(key) != slot)
        {
            return Err(Error::CrossSlot);
        }
        let mut route = Route { slot, asking: false, alone: false };
        let mut other: Option<Arc<Node>> = None;
        for _ in 0..MOST_NODES {
            route.asking = other.is_some();
            let node = match other.take() {
                Some(other) => other,
                None => self.topology.owner(slot).await?,
            };
            let error = match node.ask(Step { route: Some(route), ..step.clone() }).await {
                Err(error) => error,
                answer => return answer,
            };
            match redirection(&error, &node) {
                Some(Redirection::Moved(address)) => self.topology.moved(slot, address),
                Some(Redirection::Ask(address)) => other = Some(self.topology.node(slot, address)),
                // Some keys of the slot have been moved, others not yet. A lock that is held is kept and
                // freed all the same.
                None if error.redis_code() == Some("TRYAGAIN")
                    && step.can_go_alone()
                    && !route.alone =>
                {
                    route.alone = true;
                }
                None => return Err(self.in_trouble(error)),
            }
        }
        let lost = format!("{MOST_NODES} nodes in turn said that the key is at another");
        Err(self.in_trouble(Error::Unreachable(Cause::new(lost))))
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for node in self.topology.primaries().await? {
            found.extend(node.scan(prefix).await?);
        }
        Ok(found)
    }

    /// Those of one slot are listed at one moment.
    async fn list(&self, keys: &[Text]) -> Result<Vec<Value>> {
        try_join_all(keys.iter().map(|key| self.ask(Step::new(key.clone(), Action::List)))).await
    }

    fn process(&self) -> &Text {
        self.topology.process()
    }

    async fn subscribe(&self) -> Result<Messages> {
        self.topology.primaries().await?;
        let (sender, messages) = unbounded_channel();
        let listeners = self.topology.listen(Arc::new(Ear::new(sender)));
        // The others follow; nobody waits on a node before it is heard.
        let mut heard: FuturesUnordered<_> =
            listeners.iter().map(|listener| listener.hears()).collect();
        let mut trouble = Error::Unreachable(Cause::new("no node of the Cluster is known"));
        while let Some(answer) = heard.next().await {
            match answer {
                Err(error) if error.is_transient() => trouble = error,
                answer => return answer.map(|()| messages),
            }
        }
        Err(trouble)
    }

    async fn mode(&self) -> Result<Mode> {
        let primaries = self.topology.primaries().await?;
        let mut modes: FuturesUnordered<_> = primaries.iter().map(|node| mode(node)).collect();
        let mut all = Err(Error::Unreachable(Cause::new("no node of the Cluster is known")));
        while let Some(mode) = modes.next().await {
            match mode {
                Ok(Mode::Queue) => all = all.or(Ok(Mode::Queue)),
                // Where one has none, not all who wait are in a queue.
                Ok(classic) => return Ok(classic),
                // What the others say counts.
                Err(error) => all = all.or(Err(error)),
            }
        }
        all
    }

    async fn describe(&self) -> Result<String> {
        self.topology.describe().await
    }

    fn is_connected(&self) -> bool {
        self.topology.is_connected()
    }

    async fn moved(&self) {
        self.topology.changed().await
    }

    fn settles_until(&self) -> Option<Moment> {
        self.topology.settles_until()
    }

    fn proves_grants(&self) -> bool {
        self.topology.proves_grants()
    }
}

/// How waiting works with one node; connects to find out.
async fn mode(node: &Node) -> Result<Mode> {
    let (server, process) = (node.opener().server(), node.opener().process());
    if let Some(slot) = server.slot() {
        let key = key::trial(slot, process).into();
        let route = Some(Route { slot, asking: false, alone: false });
        match node.ask(Step { key, action: Action::Read, route }).await {
            // Any step connects; whether it is allowed does not matter.
            Ok(_) | Err(Error::Redis { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(server.mode())
}

/// Where `node` says that a step should go, if `error` says that.
fn redirection(error: &Error, node: &Node) -> Option<Redirection> {
    match error {
        Error::Redis { code, message } => {
            slots::redirection(code, message, &Address::from(node.endpoint()))
        }
        _ => None,
    }
}
