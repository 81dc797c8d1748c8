//! The atomic steps every lock is made of, and the places that carry them out.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::Moment;
use crate::error::Result;

pub mod memory;
pub mod quorum;
pub mod redis;
mod store;

pub use memory::Memory;
pub use quorum::Quorum;
pub use redis::Redis;
pub use store::{Settings, Store};

/// A key, an id or an owner, handed from layer to layer without copying it.
pub type Text = Arc<str>;

/// A fencing token: larger than those of all earlier holders.
pub type Token = u64;

/// The place of a waiter in the queue of a store: larger than those of all who came before.
pub type Ticket = u64;

/// The longest a waiter that is told by a message holds the lock before it says that it knows.
/// A waiter that died unnoticed costs the others this long.
pub const CLAIM: Duration = Duration::from_secs(2);

/// Who asks for a lock: the same in every step of one acquire call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// The id under which the lock is held.
    pub id: Text,
    /// Free text that says who holds the lock.
    pub owner: Text,
    /// How long the lock lives unless it is released or extended.
    pub ttl: Duration,
    /// With whom it would be held at the same time.
    pub sharing: Sharing,
}

impl Waiter {
    /// All that is known of somebody whose lock is to be given back.
    pub fn only(id: Text, ttl: Duration) -> Self {
        Waiter { id, owner: "".into(), ttl, sharing: Sharing::Exclusive }
    }
}

/// With whom a lock is held at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// Nobody.
    #[default]
    Exclusive,
    /// Any number of others who would share it too.
    Shared,
    /// So many in all, this one included.
    Permits(NonZeroU32),
}

impl Sharing {
    /// How many may hold the lock at once, 0 for any number; `None`: one, who does not share it.
    pub fn capacity(self) -> Option<u32> {
        match self {
            Sharing::Exclusive => None,
            Sharing::Shared => Some(0),
            Sharing::Permits(permits) => Some(permits.get()),
        }
    }

    /// What that `capacity` says.
    pub fn of(capacity: u32) -> Self {
        NonZeroU32::new(capacity).map_or(Sharing::Shared, Sharing::Permits)
    }
}

/// The answer to [`Backend::acquire`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// The lock is ours for its ttl. Without a queue there are no tokens.
    Held(Option<Token>),
    /// Somebody else holds it, or is before us.
    Taken,
    /// Taken, and we are in the queue, with this ticket. Or not asked to wait, and somebody else was
    /// granted it.
    Waits(View, Option<Ticket>),
    /// Taken, and this server has no queue: try again later.
    NoQueue,
    /// Nobody has it: several asked at the same moment, each got a part of it and has given it back.
    Tie,
}

/// The answer to [`Backend::acquire_all`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcquiredAll {
    /// All are ours, with this token.
    Held(Token),
    /// None was taken: somebody else has, or is before us at, the one with this number.
    Taken(usize),
}

/// What a step saw of the lock, after it did its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Who holds the lock.
    pub held: Held,
    /// How long until that ends by itself; `None`: never.
    pub left: Option<Duration>,
    /// The time on the store's clock.
    pub at: Duration,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Nobody.
    Free,
    /// One who hands it on.
    Ours(Handed),
    /// Several who share it and hand it on, nobody of them the one who asks.
    Shared,
    /// One who tells nobody when it is free: a version-2 process, or no lock at all.
    Foreign,
    /// Nobody; for the moment it is left to version-2 processes.
    Window,
}

/// A lock that was handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The id of the waiter that has it now.
    pub id: Text,
    /// Its token.
    pub token: Token,
}

/// The answer to a step that lets go of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The id does not hold it (any more).
    No,
    /// It is not held by this id any more.
    Yes,
    /// The same, and these waiters of this process have it now, each for its whole ttl.
    HandedOn(Vec<Handed>),
}

/// The answer to [`Backend::beat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// The waiter is in the queue, or holds the lock.
    Known(View),
    /// The queue has lost the waiter, and perhaps all of this process.
    Lost(View),
    /// This server has no queue.
    NoQueue,
}

/// What reaches a process without its asking. A message may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A waiter of this process holds this key, for [`CLAIM`] or its ttl if that is shorter, since
    /// then on the store's clock.
    Granted(Text, Handed, Duration),
    /// A waiter of this process was named, by its id, as one who holds this key; whether it does is for
    /// it to ask.
    Named(Text, Text),
    /// Something about this key has changed: beat now.
    Look(Text),
    /// Others may have been lost: beat now for all keys.
    Missed,
    /// This lock was taken away.
    Lost(Handed),
}

/// The messages of a subscription, until it is lost.
pub type Messages = UnboundedReceiver<Message>;

/// How waiting works with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Waiters queue in the store and are handed the lock.
    Queue,
    /// Waiters try again and again, as in version 2, with the reason.
    Classic(String),
}

/// One process's way to a store of locks. Each step is one atomic decision, and safe to repeat with
/// the same id.
pub trait Backend: Send + Sync + 'static {
    /// Takes `key`, or renews it if the waiter holds it already. With `wait` it joins the queue, for
    /// which the process must be subscribed.
    fn acquire(
        &self,
        key: &Text,
        waiter: &Waiter,
        wait: bool,
    ) -> impl Future<Output = Result<Acquired>> + Send;

    /// Takes all of these keys or none, in one step; those that their waiter holds already are renewed.
    /// Nobody queues.
    fn acquire_all(
        &self,
        wanted: &[(Text, Waiter)],
    ) -> impl Future<Output = Result<AcquiredAll>> + Send;

    /// Takes `key` from whoever holds it, before all who wait, and tells the holders; or renews it if
    /// the waiter holds it already.
    fn steal(&self, key: &Text, waiter: &Waiter) -> impl Future<Output = Result<Acquired>> + Send;

    /// Frees `key`, whoever holds it, for the first who waits, and tells the holders.
    fn force(&self, key: &Text) -> impl Future<Output = Result<Released>> + Send;

    /// Frees `key` for the first who waits.
    fn release(&self, key: &Text, id: &Text) -> impl Future<Output = Result<Released>> + Send;

    /// Sets the remaining time of `key` to `milliseconds`; zero or less frees it. A number that is
    /// not whole is an error, as it is for `PEXPIRE`.
    fn extend(
        &self,
        key: &Text,
        id: &Text,
        milliseconds: f64,
    ) -> impl Future<Output = Result<Released>> + Send;

    /// Leaves the queue, and frees `key` if the waiter holds it.
    fn abandon(&self, key: &Text, waiter: &Waiter)
    -> impl Future<Output = Result<Released>> + Send;

    /// Says that this process still waits for `key`, the first of its waiters being `first`, and
    /// would poll every `delay` if nobody told it anything.
    fn beat(
        &self,
        key: &Text,
        first: &Waiter,
        delay: Duration,
    ) -> impl Future<Output = Result<Beat>> + Send;

    /// Who holds `key`. `None`: nobody.
    fn read(&self, key: &Text) -> impl Future<Output = Result<Option<Holder>>> + Send;

    /// The keys that begin with `prefix` and are held or waited for. What changes meanwhile may be
    /// among them or not.
    fn names(&self, prefix: &str) -> impl Future<Output = Result<Vec<Text>>> + Send;

    /// Who holds each of `keys` and who waits, all at one moment where they are not too many.
    fn list(&self, keys: &[Text]) -> impl Future<Output = Result<Vec<Listing>>> + Send;

    /// The name of this process in the store: the first 13 characters of its ids.
    fn process(&self) -> &Text;

    /// Opens the way for messages to this process. An error that is not transient means that there
    /// is none.
    fn subscribe(&self) -> impl Future<Output = Result<Messages>> + Send;

    /// How waiting works here; connects to find out.
    fn mode(&self) -> impl Future<Output = Result<Mode>> + Send;

    /// What the server says of itself, for people: the text of Redis's `INFO`. `None`: there is no
    /// server.
    fn describe(&self) -> impl Future<Output = Result<Option<String>>> + Send {
        std::future::ready(Ok(None))
    }

    /// Whether a step would be sent now, without connecting first.
    fn is_connected(&self) -> bool;

    /// Waits until another server has taken over, which may not know of locks that are held. For one
    /// who waits at a time.
    fn moved(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Whether it is proven that a grant survives the server. Then one counts only as the answer of
    /// [`acquire`](Self::acquire) or [`extend`](Self::extend): who was handed the lock asks for it.
    fn proves_grants(&self) -> bool {
        false
    }

    /// Until when no new lock is to be granted: the store may have forgotten some that are held.
    fn settles_until(&self) -> Option<Moment> {
        None
    }

    /// Whether the store itself undoes an acquire that it does not answer with [`Acquired::Held`].
    /// The undoing may come after a later attempt, which therefore needs another id.
    fn undoes_attempts(&self) -> bool {
        false
    }
}

/// Who holds a key, as the store says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The id of the lock.
    pub id: String,
    /// The owner's free text; `None` if the lock was written without one.
    pub owner: Option<String>,
    /// Its token; version 2 and servers without a queue give none.
    pub token: Option<Token>,
    /// How long until it ends by itself; `None`: never, or not known.
    pub left: Option<Duration>,
    /// With whom it is held.
    pub sharing: Sharing,
}

/// Who waits for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The id under which the lock would be held.
    pub id: String,
    /// The owner's free text.
    pub owner: String,
    /// With whom it would be held.
    pub sharing: Sharing,
    /// For how long it has waited.
    pub waited: Duration,
}

/// All there is to know of a key at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The key.
    pub key: Text,
    /// Who holds it, those who share it in the order of their tokens.
    pub holders: Vec<Holder>,
    /// Who waits, in order.
    pub waiters: Vec<Queued>,
}
