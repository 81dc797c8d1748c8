//! What is written down in the store: who holds each key, and who waits for it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::backend::{Holder, Text, Token, Waiter};

/// Everything in the store.
#[derive(Debug)]
pub struct Locks {
    by_key: HashMap<Text, Entry>,
    /// When there are more entries than this, those that ended are swept out.
    sweep_above: usize,
    last_number: u64,
    /// The clock starts at the system's time and then runs like tokio's.
    started: (Instant, Duration),
}

impl Default for Locks {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = (Instant::now(), now);
        Locks { by_key: HashMap::new(), sweep_above: 0, last_number: 0, started }
    }
}

/// One key: the lock and its queue, each of which may be absent.
#[derive(Debug, Default)]
pub struct Entry {
    pub lock: Option<Lock>,
    pub queue: Option<Queue>,
}

/// Who holds a key.
#[derive(Debug)]
pub struct Lock {
    pub id: Text,
    pub owner: Text,
    /// `None`: held by a version-2 process.
    pub token: Option<Token>,
    /// If somebody waits, the number of hand-offs since a barge window.
    pub queued: Option<u64>,
    /// `None`: later than the clock can count.
    pub ends: Option<Instant>,
}

/// Who waits for a key.
#[derive(Debug)]
pub struct Queue {
    /// The waiters and their processes by ticket.
    waiters: BTreeMap<u64, (Waiter, Text)>,
    /// The tickets by the waiters' ids.
    tickets: HashMap<Text, u64>,
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
    pub ends: Instant,
}

impl Locks {
    /// Forgets everything but the time.
    pub fn clear(&mut self) {
        self.by_key.clear();
        self.last_number = 0;
    }

    /// How many keys there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether anybody holds a lock.
    pub fn any_lives(&self) -> bool {
        self.by_key.values().any(|entry| entry.lock.as_ref().is_some_and(|lock| !lock.is_over()))
    }

    /// The store's clock.
    pub fn time(&self) -> Duration {
        let (started, time) = self.started;
        time + started.elapsed()
    }

    /// A number larger than all before it.
    pub fn next_number(&mut self) -> u64 {
        self.last_number = (self.time().as_micros() as u64).max(self.last_number + 1);
        self.last_number
    }

    /// What there is of a key, without what ended.
    pub fn entry(&mut self, key: &Text) -> &mut Entry {
        if !self.by_key.contains_key(key) && self.by_key.len() >= self.sweep_above {
            self.by_key.retain(|_, entry| entry.lives());
            self.sweep_above = 2 * self.by_key.len() + 64;
        }
        let entry = self.by_key.entry(key.clone()).or_default();
        entry.lives();
        entry
    }

    /// Forgets a key nothing is left of.
    pub fn tidy(&mut self, key: &Text) {
        if self.by_key.get(key).is_some_and(|entry| entry.lock.is_none() && entry.queue.is_none()) {
            self.by_key.remove(key);
        }
    }

    /// Who holds `key`.
    pub fn holder(&mut self, key: &Text) -> Option<Holder> {
        let entry = self.by_key.get_mut(key)?;
        entry.lives();
        let lock = entry.lock.as_ref()?;
        Some(Holder { id: lock.id.to_string(), owner: Some(lock.owner.to_string()) })
    }

    /// Takes `key` if it is free, without a look at the queue.
    pub fn take_as_version_2(&mut self, key: &Text, id: &Text, ttl: Duration) -> bool {
        let entry = self.entry(key);
        if entry.lock.is_some() {
            return false;
        }
        let owner = "".into();
        let ends = after(ttl);
        entry.lock = Some(Lock { id: id.clone(), owner, token: None, queued: None, ends });
        true
    }

    /// Frees `key` and tells nobody.
    pub fn free(&mut self, key: &Text, id: &Text) -> bool {
        let lock = &mut self.entry(key).lock;
        let held = lock.take_if(|lock| lock.id == *id).is_some();
        self.tidy(key);
        held
    }
}

impl Entry {
    /// Drops what ended. Says whether anything is left.
    fn lives(&mut self) -> bool {
        self.lock.take_if(|lock| lock.is_over());
        self.queue.take_if(|queue| queue.ends <= Instant::now());
        self.lock.is_some() || self.queue.is_some()
    }
}

impl Lock {
    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }
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
            ends: Instant::now(),
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// The first waiter after `passed` others, and its process.
    pub fn first(&self, passed: usize) -> Option<(Waiter, Text)> {
        self.waiters.values().nth(passed).cloned()
    }

    /// Whether a waiter of `process` is in the queue.
    pub fn has(&self, waiter: &Waiter, process: &Text) -> bool {
        let waiting = self.tickets.get(&waiter.id).and_then(|ticket| self.waiters.get(ticket));
        waiting.is_some_and(|(other, its)| other == waiter && its == process)
    }

    /// Adds a waiter that is not there yet.
    pub fn add(&mut self, ticket: u64, waiter: Waiter, process: Text) {
        self.tickets.insert(waiter.id.clone(), ticket);
        self.waiters.insert(ticket, (waiter, process));
    }

    /// Removes a waiter. `false`: it is not there.
    pub fn remove(&mut self, waiter: &Waiter) -> bool {
        let ticket = self.tickets.remove(&waiter.id);
        ticket.and_then(|ticket| self.waiters.remove(&ticket)).is_some()
    }
}

/// When something ends that begins now.
pub fn after(ttl: Duration) -> Option<Instant> {
    Instant::now().checked_add(ttl)
}
