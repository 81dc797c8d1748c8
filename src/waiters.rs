//! Who of this process waits for which key, in order, and when each key's next beat is due.
//!
//! The order is that of the store: who is granted a lock is the first of its process in the queue, so the
//! answer to a beat of the first tells of every grant whose message was lost.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backend::{CLAIM, Text, Ticket, Token, Waiter};
use crate::clock::{Moment, Reading};
use crate::error::Error;
use crate::id_hash::BuildIdHasher;
use crate::lease::Grant;
use crate::patience::Trouble;
use crate::rhythm::Rhythm;

/// What a waiter is told, once.
#[derive(Debug)]
pub enum News {
    /// It holds the lock.
    Granted(Grant),
    /// The queue has lost it, or may have granted it the lock: ask again.
    Again,
    /// There is no queue any more.
    NoQueue,
    /// The wait has failed.
    Failed(Error),
}

/// The waiters of all keys.
#[derive(Debug, Default)]
pub struct Waiters {
    by_key: HashMap<Text, Line>,
    by_id: HashMap<Text, (Text, Ticket), BuildIdHasher>,
    due: BTreeSet<(Instant, Text)>,
    /// Those who may be in the queue, whether they have heard that or not.
    expected: HashSet<Text, BuildIdHasher>,
    /// Grants whose waiter has not yet heard that it is in the queue.
    early: HashMap<Text, Early>,
}

/// How a waiter was granted the lock.
#[derive(Debug, Clone, Copy)]
pub enum Early {
    /// By a step of this process that was sent then, for its whole ttl.
    Here(Token, Moment),
    /// By a message, when the store's clock stood there, for the claim.
    Told(Token, Duration),
    /// Perhaps: it has to ask.
    Named,
}

#[derive(Debug)]
struct Line {
    waiters: BTreeMap<Ticket, Entry>,
    due: Option<Instant>,
    /// A beat is under way.
    asked: bool,
    /// Something changed since, which it may not have seen.
    outdated: bool,
    /// That of all who wait, or of all who did.
    rhythm: Rhythm,
    /// Somebody has left, who may have been the one in a hurry.
    may_slow_down: bool,
}

/// One who waits.
#[derive(Debug)]
pub struct Entry {
    waiter: Waiter,
    delay: Duration,
    began: Instant,
    tell: oneshot::Sender<News>,
}

impl Entry {
    /// `waiter`, who would ask every `delay` if it had to ask, and hears news through `tell`.
    pub fn new(waiter: &Waiter, delay: Duration, tell: oneshot::Sender<News>) -> Self {
        Entry { waiter: waiter.clone(), delay, began: Instant::now(), tell }
    }

    /// How often it needs somebody to look.
    pub fn rhythm(&self) -> Rhythm {
        Rhythm::of(&self.waiter, self.delay)
    }
}

impl Waiters {
    /// Adds a waiter that has this ticket. Says whether its beat is due earlier than any other.
    pub fn join(
        &mut self,
        key: &Text,
        mut ticket: Ticket,
        entry: Entry,
        clock: &Reading,
        next: Duration,
    ) -> bool {
        if let Some(early) = self.early.remove(&entry.waiter.id) {
            let _ = entry.tell.send(early.news(&entry.waiter, clock));
            return false;
        }
        let rhythm = entry.rhythm();
        let line = self.by_key.entry(key.clone()).or_insert_with(|| Line {
            waiters: BTreeMap::new(),
            due: None,
            asked: false,
            outdated: false,
            rhythm,
            may_slow_down: false,
        });
        line.rhythm = line.rhythm.and(rhythm);
        // A store that has forgotten its clock may give out one again.
        while line.waiters.contains_key(&ticket) {
            ticket += 1;
        }
        self.by_id.insert(entry.waiter.id.clone(), (key.clone(), ticket));
        line.waiters.insert(ticket, entry);
        let at = Instant::now() + next;
        self.plan_no_later(key, at)
    }

    /// Removes a waiter.
    pub fn leave(&mut self, id: &Text) {
        self.take(id);
    }

    /// A waiter is about to ask for a place in the queue.
    pub fn expect(&mut self, id: &Text) {
        if !self.expected.contains(id) {
            self.expected.insert(id.clone());
        }
    }

    /// Removes every trace of a waiter that has what it waited for, or gave up.
    pub fn forget(&mut self, id: &Text) {
        self.expected.remove(id);
        self.early.remove(id);
        self.leave(id);
    }

    /// A waiter holds the lock as `grant` says. `false`: it is none of ours.
    pub fn granted(&mut self, id: &Text, grant: Grant) -> bool {
        let Some(entry) = self.take(id) else { return false };
        let _ = entry.tell.send(News::Granted(grant));
        true
    }

    /// A waiter was granted the lock, as a clock of the store that was read helps to tell. `false`: none
    /// of ours waits under that id.
    pub fn granted_early(&mut self, id: &Text, how: Early, clock: Option<&Reading>) -> bool {
        match clock.and_then(|clock| Some((clock, self.take(id)?))) {
            Some((clock, entry)) => {
                let _ = entry.tell.send(how.news(&entry.waiter, clock));
                true
            }
            None => self.remember(id, how),
        }
    }

    /// A waiter may have been granted the lock: it asks. `false`: none of ours waits under that id.
    pub fn named(&mut self, id: &Text) -> bool {
        self.asks_again(id) || self.remember(id, Early::Named)
    }

    /// A waiter asks again. `false`: it is none of ours.
    pub fn asks_again(&mut self, id: &Text) -> bool {
        self.take(id).map(|entry| entry.tell.send(News::Again)).is_some()
    }

    fn remember(&mut self, id: &Text, how: Early) -> bool {
        let is_ours = self.expected.contains(id);
        if is_ours {
            self.early.insert(id.clone(), how);
        }
        is_ours
    }

    fn take(&mut self, id: &Text) -> Option<Entry> {
        let (key, ticket) = self.by_id.remove(id)?;
        let line = self.by_key.get_mut(&key)?;
        let entry = line.waiters.remove(&ticket);
        line.may_slow_down = true;
        if line.waiters.is_empty() {
            if let Some(due) = line.due {
                self.due.remove(&(due, key.clone()));
            }
            self.by_key.remove(&key);
        }
        entry
    }

    /// Whether a waiter is still there.
    pub fn has(&self, id: &Text) -> bool {
        self.by_id.contains_key(id)
    }

    /// How often to look at `key`.
    pub fn rhythm(&mut self, key: &Text) -> Option<Rhythm> {
        let line = self.by_key.get_mut(key)?;
        if std::mem::take(&mut line.may_slow_down) {
            let all = line.waiters.values().map(Entry::rhythm);
            line.rhythm = all.reduce(Rhythm::and).unwrap_or(line.rhythm);
        }
        Some(line.rhythm)
    }

    /// Tells every waiter for `key` the same and forgets them.
    pub fn tell_line(&mut self, key: &Text, news: impl Fn() -> News) {
        let Some(line) = self.by_key.remove(key) else { return };
        if let Some(due) = line.due {
            self.due.remove(&(due, key.clone()));
        }
        for entry in line.waiters.into_values() {
            self.by_id.remove(&entry.waiter.id);
            let _ = entry.tell.send(news());
        }
    }

    /// Tells every waiter for every key the same and forgets them.
    pub fn tell_all(&mut self, news: impl Fn() -> News) {
        for key in self.by_key.keys().cloned().collect::<Vec<_>>() {
            self.tell_line(&key, &news);
        }
    }

    /// Fails those for `key` who have borne `trouble` for `patience`.
    pub fn tell_impatient(&mut self, key: &Text, patience: Duration, trouble: &Trouble) {
        let Some(line) = self.by_key.get(key) else { return };
        let has_enough = |entry: &Entry| trouble.since.max(entry.began).elapsed() >= patience;
        let impatient: Vec<Text> = line
            .waiters
            .values()
            .filter(|entry| has_enough(entry))
            .map(|entry| entry.waiter.id.clone())
            .collect();
        for id in impatient {
            if let Some(entry) = self.take(&id) {
                let _ = entry.tell.send(News::Failed(trouble.clone().into_error_of_another()));
            }
        }
    }

    /// A beat for `key` has ended; the next is due in `next`.
    pub fn beaten(&mut self, key: &Text, next: Duration) {
        if let Some(line) = self.by_key.get_mut(key) {
            line.asked = false;
            let next = if std::mem::take(&mut line.outdated) { Duration::ZERO } else { next };
            self.plan(key, Instant::now() + next);
        }
    }

    /// A beat for `key` is due now, or as soon as that which is under way was answered.
    pub fn due_now(&mut self, key: &Text) {
        if let Some(line) = self.by_key.get_mut(key) {
            line.outdated = line.asked;
            self.plan_no_later(key, Instant::now());
        }
    }

    /// Beats for all keys are due now.
    pub fn all_due(&mut self) {
        for key in self.by_key.keys().cloned().collect::<Vec<_>>() {
            self.due_now(&key);
        }
    }

    /// The keys whose beat is due, each with its first waiter and its delay.
    pub fn take_due(&mut self) -> Vec<(Text, Waiter, Duration)> {
        let now = Instant::now();
        let mut taken = Vec::new();
        while let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((_, key)) = self.due.pop_first()
        {
            let Some(line) = self.by_key.get_mut(&key) else { continue };
            line.due = None;
            if let Some(first) = line.waiters.values().next()
                && !line.asked
            {
                line.asked = true;
                taken.push((key, first.waiter.clone(), line.rhythm.delay));
            }
        }
        taken
    }

    /// When the next beat is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    fn plan_no_later(&mut self, key: &Text, at: Instant) -> bool {
        let Some(line) = self.by_key.get(key) else { return false };
        if line.due.is_none_or(|due| at < due) && !line.asked {
            return self.plan(key, at);
        }
        false
    }

    /// Says whether this is the first beat due of all.
    fn plan(&mut self, key: &Text, at: Instant) -> bool {
        let Some(line) = self.by_key.get_mut(key) else { return false };
        if let Some(due) = line.due.replace(at) {
            self.due.remove(&(due, key.clone()));
        }
        let is_first = self.due.first().is_none_or(|(first, _)| at < *first);
        self.due.insert((at, key.clone()));
        is_first
    }
}

impl Early {
    fn news(self, waiter: &Waiter, clock: &Reading) -> News {
        News::Granted(match self {
            Early::Here(token, since) => Grant { token: Some(token), since, ttl: waiter.ttl },
            Early::Told(token, at) => {
                let ttl = waiter.ttl.min(CLAIM);
                Grant { token: Some(token), since: clock.not_after(at), ttl }
            }
            Early::Named => return News::Again,
        })
    }
}
