//! What is written down in the store: who holds each key, and who waits for it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::queue::Queue;
use super::shares::{PACE, Share, Shares};
use crate::backend::{Holder, Sharing, Text, Token, Waiter};

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
    /// Empty if it is shared.
    pub id: Text,
    pub owner: Text,
    /// `None`: held by a version-2 process.
    pub token: Option<Token>,
    /// If somebody waits, the number of hand-offs since a barge window.
    pub queued: Option<u64>,
    /// `None`: later than the clock can count.
    pub ends: Option<Instant>,
    /// Those who hold it at once, if it is shared.
    pub shares: Option<Shares>,
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

    /// The keys that begin with `prefix`.
    pub fn names(&mut self, prefix: &str) -> Vec<Text> {
        let lives = |(key, entry): (&Text, &mut Entry)| entry.lives().then(|| key.clone());
        let names = self.by_key.iter_mut().filter(|(key, _)| key.starts_with(prefix));
        names.filter_map(lives).collect()
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
        entry.lock.as_ref().and_then(|lock| lock.holders().into_iter().next())
    }

    /// Takes `key` if it is free, without a look at the queue.
    pub fn take_as_version_2(&mut self, key: &Text, id: &Text, ttl: Duration) -> bool {
        let entry = self.entry(key);
        if entry.lock.is_some() {
            return false;
        }
        let owner = "".into();
        let ends = after(ttl);
        let id = id.clone();
        entry.lock = Some(Lock { id, owner, token: None, queued: None, ends, shares: None });
        true
    }

    /// Ends the lock of `key`.
    pub fn expire(&mut self, key: &Text) {
        self.entry(key).lock = None;
        self.tidy(key);
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
        self.lock.take_if(|lock| lock.forget_ended());
        self.queue.take_if(|queue| queue.ends <= Instant::now());
        self.lock.is_some() || self.queue.is_some()
    }
}

impl Lock {
    /// A lock that `waiter` holds from now on.
    pub fn held_by(waiter: &Waiter, token: Token, queued: Option<u64>, ttl: Duration) -> Self {
        let Waiter { id, owner, sharing, .. } = waiter.clone();
        let ends = after(ttl);
        let mut lock = Lock { id, owner, token: Some(token), queued, ends, shares: None };
        if let Some(capacity) = sharing.capacity() {
            (lock.id, lock.owner) = ("".into(), "".into());
            lock.shares = Some(Shares { capacity, by_id: BTreeMap::new(), earliest: None });
            lock.write_share(waiter, token, ttl);
        }
        lock
    }

    /// Writes down a share, new or anew. The lock lasts as long as the longest.
    pub fn write_share(&mut self, waiter: &Waiter, token: Token, ttl: Duration) {
        let ends = after(ttl);
        self.token = self.token.max(Some(token));
        self.last(ends);
        let Some(shares) = &mut self.shares else { return };
        if shares.by_id.is_empty() || is_earlier(ends, shares.earliest) {
            shares.earliest = ends;
        }
        let share = Share { ends, token, owner: waiter.owner.clone() };
        shares.by_id.insert(waiter.id.clone(), share);
    }

    /// Ends no earlier than `ends`.
    pub fn last(&mut self, ends: Option<Instant>) {
        if is_earlier(self.ends, ends) {
            self.ends = ends;
        }
    }

    /// Ends a share.
    pub fn take_back(&mut self, id: &Text) {
        if let Some(shares) = &mut self.shares {
            shares.by_id.remove(id);
        }
    }

    /// Those who hold it, in the order of their tokens.
    pub fn holders(&self) -> Vec<Holder> {
        let left = |ends: Option<Instant>| ends.map(|ends| ends - Instant::now());
        let Some(Shares { capacity, by_id, .. }) = &self.shares else {
            return vec![Holder {
                id: self.id.to_string(),
                owner: Some(self.owner.to_string()),
                token: self.token,
                left: left(self.ends),
                sharing: Sharing::Exclusive,
            }];
        };
        let mut holders: Vec<Holder> = by_id
            .iter()
            .filter(|(_, share)| !share.is_over())
            .map(|(id, share)| Holder {
                id: id.to_string(),
                owner: Some(share.owner.to_string()),
                token: Some(share.token),
                left: left(share.ends),
                sharing: Sharing::of(*capacity),
            })
            .collect();
        holders.sort_by_key(|holder| holder.token);
        holders
    }

    /// Whether another may share it.
    pub fn has_room(&self) -> bool {
        self.shares.as_ref().is_some_and(Shares::has_room)
    }

    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }

    /// Forgets the shares that ended. Says whether nobody holds it any more.
    fn forget_ended(&mut self) -> bool {
        let now = Instant::now();
        if let Some(shares) = &mut self.shares
            && shares.earliest.is_some_and(|earliest| earliest <= now)
        {
            shares.by_id.retain(|_, share| !share.is_over());
            let ends = shares.by_id.values().map(|share| share.ends);
            let pause = Duration::from_millis((shares.by_id.len() / PACE) as u64);
            shares.earliest = ends.flatten().min().map(|earliest| earliest.max(now + pause));
            return shares.by_id.is_empty();
        }
        self.is_over()
    }
}

/// When something ends that begins now.
pub fn after(ttl: Duration) -> Option<Instant> {
    Instant::now().checked_add(ttl)
}

/// Whether `end` is earlier than `other`; `None` is never.
pub fn is_earlier(end: Option<Instant>, other: Option<Instant>) -> bool {
    match (end, other) {
        (Some(end), Some(other)) => end < other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
