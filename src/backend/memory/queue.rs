//! Who waits for a key, and what is remembered of the processes that do, and of those of version 2.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::locks::after;
use crate::backend::{Text, Ticket, Waiter};

const SEEN: Duration = Duration::from_secs(300);
pub const DELAY: Duration = Duration::from_millis(50);

/// Who waits for a key.
#[derive(Debug)]
pub struct Queue {
    /// The waiters and their processes by ticket.
    waiters: BTreeMap<Ticket, (Waiter, Text)>,
    /// The tickets by the waiters' ids.
    tickets: HashMap<Text, Ticket>,
    /// Until when each process is known to be alive.
    pub alive: HashMap<Text, Instant>,
    /// Until when version-2 processes are taken to contend.
    pub version_2: Option<Instant>,
    /// The end of the barge window.
    pub window: Option<Instant>,
    /// The length of one.
    pub delay: Duration,
    /// Since when the lock is theirs.
    pub theirs: Option<Instant>,
    /// The time before which there is no window.
    pub shut: Option<Instant>,
    /// How long that was put off because nobody took the last.
    pub pause: Duration,
    /// The permits waiters asked for.
    pub permits: Option<u32>,
    pub ends: Instant,
}

impl Queue {
    /// A queue nobody waits in.
    pub fn new() -> Self {
        Queue {
            waiters: BTreeMap::new(),
            tickets: HashMap::new(),
            alive: HashMap::new(),
            version_2: None,
            window: None,
            delay: Duration::ZERO,
            theirs: None,
            shut: None,
            pause: Duration::ZERO,
            permits: None,
            ends: Instant::now(),
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Whether a process is known to be alive.
    pub fn lives(&self, process: &Text) -> bool {
        self.alive.get(process).is_some_and(|until| *until > Instant::now())
    }

    /// The first waiter after `passed` others, and its process.
    pub fn first(&self, passed: usize) -> Option<(Waiter, Text)> {
        self.waiters.values().nth(passed).cloned()
    }

    /// Those who wait, in order, with their tickets.
    pub fn waiters(&self) -> impl Iterator<Item = (Ticket, &Waiter)> {
        self.waiters.iter().map(|(ticket, (waiter, _))| (*ticket, waiter))
    }

    /// The ticket of a waiter of `process`, if it is in the queue.
    pub fn ticket_of(&self, waiter: &Waiter, process: &Text) -> Option<Ticket> {
        let ticket = self.tickets.get(&waiter.id)?;
        let (other, its) = self.waiters.get(ticket)?;
        (other == waiter && its == process).then_some(*ticket)
    }

    /// Whether a waiter of `process` is in the queue.
    pub fn has(&self, waiter: &Waiter, process: &Text) -> bool {
        self.ticket_of(waiter, process).is_some()
    }

    /// Adds a waiter that is not there yet.
    pub fn add(&mut self, ticket: Ticket, waiter: Waiter, process: Text) {
        self.tickets.insert(waiter.id.clone(), ticket);
        self.waiters.insert(ticket, (waiter, process));
    }

    /// Removes a waiter. `false`: it is not there.
    pub fn remove(&mut self, waiter: &Waiter) -> bool {
        let ticket = self.tickets.remove(&waiter.id);
        ticket.and_then(|ticket| self.waiters.remove(&ticket)).is_some()
    }
}

/// Nobody waits any more, perhaps: then the queue goes, unless it is to be remembered that version 2
/// did not use its window.
pub fn tidy(queue: &mut Option<Queue>) {
    let now = Instant::now();
    queue.take_if(|queue| queue.is_empty() && queue.shut.is_none_or(|until| until <= now));
}

/// The length of the barge window, if there is to be one now.
pub fn window(queue: &Queue) -> Option<Duration> {
    let now = Instant::now();
    let contends = queue.version_2.is_some_and(|until| until > now);
    let shut = queue.shut.is_some_and(|until| until > now);
    let length = if queue.delay.is_zero() { DELAY } else { queue.delay };
    (contends && !shut).then_some(length * 5 / 4)
}

/// A version-2 process holds the lock.
pub fn met_version_2(queue: &mut Queue, delay: Duration) {
    queue.version_2 = after(SEEN);
    queue.delay = delay;
    queue.theirs.get_or_insert_with(Instant::now);
    queue.window = None;
    queue.shut = None;
    queue.pause = Duration::ZERO;
}
