//! Which node has which slot, as far as is known, and how that is found out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::seq::SliceRandom;
use tokio::select;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::listener::{Ear, Listener};
use super::map::Map;
use super::node::Node;
use super::settings::{Address, Settings};
use super::slots::{self, Range};
use crate::backend::Text;
use crate::backend::redis::opener::Opener;
use crate::backend::redis::settings::Endpoint;
use crate::clock::Moment;
use crate::error::{Cause, Error, Result};
use crate::key::Slot;
use crate::mutex::lock;

/// The shortest time between two looks at the whole map, however many steps went astray.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// A node that has not answered for this long is not the only one any more that is asked.
const ASK_ANOTHER: Duration = Duration::from_millis(250);

/// Which node has which slot, as far as is known.
#[derive(Debug)]
pub struct Topology {
    settings: Settings,
    /// What the openers of all nodes are made from.
    opener: Opener,
    map: Mutex<Map>,
    /// Some slot has another owner than before.
    changed: Notify,
    looking: tokio::sync::Mutex<Looked>,
    /// How often somebody has looked.
    looks: AtomicU64,
    /// Somebody will look in a moment.
    is_due: AtomicBool,
}

/// What the last look came to.
#[derive(Debug)]
struct Looked {
    not_before: Instant,
    outcome: Result<()>,
}

impl Topology {
    /// The Cluster that `settings` name; an error names what cannot be used in them.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Topology {
            opener: Opener::new(settings.node.clone())?,
            settings,
            map: Mutex::default(),
            changed: Notify::new(),
            looking: tokio::sync::Mutex::new(Looked {
                not_before: Instant::now(),
                outcome: Ok(()),
            }),
            looks: AtomicU64::new(0),
            is_due: AtomicBool::new(false),
        })
    }

    /// The name under which our waiters queue.
    pub fn process(&self) -> &Text {
        self.opener.process()
    }

    /// The node that has `slot`; looks for it where that is not known.
    pub async fn owner(&self, slot: Slot) -> Result<Arc<Node>> {
        if let Some(node) = self.map().owner(slot) {
            return Ok(node);
        }
        self.look().await?;
        let nobody =
            || Error::Redis { code: "CLUSTERDOWN".into(), message: "Hash slot not served".into() };
        self.map().owner(slot).ok_or_else(nobody)
    }

    /// All nodes that have slots; looks for them where none is known.
    pub async fn primaries(&self) -> Result<Vec<Arc<Node>>> {
        if self.map().is_empty() {
            self.look().await?;
        }
        Ok(self.map().primaries())
    }

    /// The node at `address`, which may be asked for some of `slot`.
    pub fn node(&self, slot: Slot, address: Address) -> Arc<Node> {
        let node = self.map().node(self.settings.reached(address), &self.opener);
        node.opener().server().has_slot(slot);
        node
    }

    /// A node said that `slot` is at `address` now.
    pub fn moved(self: &Arc<Self>, slot: Slot, address: Address) {
        let node = self.node(slot, address);
        let had_slots = self.map().assign(slot, &node);
        if let Some(had_slots) = had_slots {
            self.took_over(&node, had_slots);
        }
        // One slot mostly moves with others, or with all that a node had.
        self.look_soon();
    }

    /// Looks in the background.
    pub fn look_soon(self: &Arc<Self>) {
        if self.is_due.swap(true, Ordering::SeqCst) {
            return;
        }
        let topology = self.clone();
        tokio::spawn(async move {
            // What it comes to is seen by the steps that need it.
            let _ = topology.look().await;
            topology.is_due.store(false, Ordering::SeqCst);
        });
    }

    /// The messages of all nodes, also of those that are found later, go to `ear`.
    pub fn listen(&self, ear: Arc<Ear>) -> Vec<Arc<Listener>> {
        self.map().listen(ear)
    }

    /// Waits until some slot has another owner, who may not know of locks that are held.
    pub async fn changed(&self) {
        self.changed.notified().await
    }

    /// Until when some node grants nothing.
    pub fn settles_until(&self) -> Option<Moment> {
        let map = self.map();
        let settles = |node: &Arc<Node>| node.opener().server().succession().settles_until();
        map.nodes().filter_map(settles).max()
    }

    /// [`crate::Backend::proves_grants`].
    pub fn proves_grants(&self) -> bool {
        self.opener.replication().is_some()
    }

    /// What a node says of itself, the first that answers in no order.
    pub async fn describe(&self) -> Result<String> {
        let mut trouble = None;
        for endpoint in self.candidates() {
            match self.opener.elsewhere(endpoint).describe().await {
                Err(error) => trouble = Some(graver(trouble, error)),
                answer => return answer,
            }
        }
        Err(trouble.unwrap_or(Error::Closed))
    }

    /// Whether there is a connection to any node now.
    pub fn is_connected(&self) -> bool {
        self.map().nodes().any(|node| node.is_connected())
    }

    /// Asks the nodes who has which slot. Those who come while somebody asks share the answer.
    async fn look(&self) -> Result<()> {
        let before = self.looks.load(Ordering::SeqCst);
        let mut looking = self.looking.lock().await;
        if self.looks.load(Ordering::SeqCst) != before {
            return looking.outcome.clone();
        }
        sleep_until(looking.not_before).await;
        let limit = self.settings.node.connect_timeout;
        let silence =
            || Error::Unreachable(Cause::timeout("no node of the Cluster answered", limit));
        let answer = timeout(limit, self.ask_around()).await.unwrap_or_else(|_| Err(silence()));
        // Jitter keeps many processes from asking in the same instant.
        looking.not_before = Instant::now() + BETWEEN_LOOKS.mul_f64(rand::random_range(1.0..1.5));
        looking.outcome = answer.map(|ranges| self.learn(ranges));
        self.looks.fetch_add(1, Ordering::SeqCst);
        looking.outcome.clone()
    }

    /// The first answer of any node.
    async fn ask_around(&self) -> Result<Vec<Range>> {
        let mut left = self.candidates().into_iter();
        let mut asked = FuturesUnordered::new();
        let mut trouble = None;
        loop {
            let is_last = match left.next() {
                Some(endpoint) => {
                    asked.push(self.ask(endpoint));
                    false
                }
                None => true,
            };
            select! {
                answer = asked.next() => match answer {
                    Some(Ok(ranges)) => return Ok(ranges),
                    Some(Err(error)) => trouble = Some(graver(trouble, error)),
                    None => return Err(trouble.unwrap_or(Error::Closed)),
                },
                () = sleep(ASK_ANOTHER), if !is_last => {}
            }
        }
    }

    /// Asks the node at `endpoint`, over a connection of its own: those for steps may be stuck.
    async fn ask(&self, endpoint: Endpoint) -> Result<Vec<Range>> {
        let opener = self.opener.elsewhere(endpoint.clone());
        let reply = opener.ask(slots::ask()).await.map_err(explain)?;
        match slots::read(&reply, &Address::from(&endpoint)) {
            ranges if ranges.is_empty() => Err(Error::Redis {
                code: "CLUSTERDOWN".into(),
                message: format!("{endpoint} knows of no slots"),
            }),
            ranges => Ok(ranges),
        }
    }

    /// Who can be asked: the nodes that are known, in any order, as one may know less than others;
    /// and those of the settings, in theirs.
    fn candidates(&self) -> Vec<Endpoint> {
        let mut candidates: Vec<Endpoint> =
            self.map().nodes().map(|node| node.endpoint().clone()).collect();
        candidates.shuffle(&mut rand::rng());
        for seed in &self.settings.seeds {
            if !candidates.contains(seed) {
                candidates.push(seed.clone());
            }
        }
        candidates
    }

    fn learn(&self, ranges: Vec<Range>) {
        let mut map = self.map();
        let owned = ranges
            .into_iter()
            .map(|Range { first, last, primary }| (first..=last, self.settings.reached(primary)));
        for (node, had_slots) in map.replace(owned, &self.opener) {
            self.took_over(&node, had_slots);
        }
    }

    /// Slots that were another's are this node's now. If it had none it may have taken over from one that
    /// failed, and not know of all locks.
    fn took_over(&self, node: &Node, had_slots: bool) {
        if !had_slots {
            node.opener().server().succession().succeeds(self.settings.node.settle_time);
        }
        self.changed.notify_one();
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        lock(&self.map)
    }
}

/// Of two failures that which says more.
fn graver(before: Option<Error>, error: Error) -> Error {
    match before {
        Some(before) if error.is_transient() || !before.is_transient() => before,
        _ => error,
    }
}

/// What the answer to the question for slots means if it is none.
fn explain(error: Error) -> Error {
    match error {
        Error::Redis { code, message } if message.contains("cluster support disabled") => {
            let message = "this server is not a node of a Redis Cluster: \
                make the manager from its URL or { host, port }";
            Error::Redis { code, message: message.into() }
        }
        error => error,
    }
}
