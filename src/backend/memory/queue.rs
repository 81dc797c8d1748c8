//! The steps: what `src/lua` says, in Rust. The names and the order are the same there.

use std::time::Duration;

use tokio::time::Instant;

use super::locks::{Entry, Lock, Locks, Queue, after};
use crate::backend::{Acquired, Beat, CLAIM, Handed, Held, Message, Released, Text, View, Waiter};
use crate::error::{Error, Result};

const ALIVE: Duration = Duration::from_secs(3);
const KEPT: Duration = Duration::from_secs(10);
const SEEN: Duration = Duration::from_secs(300);
const TURNS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const DELAY: Duration = Duration::from_millis(50);
const MOST: usize = 64;

/// One step of one process.
pub struct Step<'a> {
    pub locks: &'a mut Locks,
    pub process: &'a Text,
    /// Whether the process heard the message.
    pub tell: &'a dyn Fn(&Text, Message) -> bool,
}

impl Step<'_> {
    /// Takes the lock, renews it, or joins the queue.
    pub fn acquire(&mut self, key: &Text, waiter: &Waiter, wait: bool) -> Acquired {
        let entry = self.locks.entry(key);
        if entry.lock.is_none() && entry.queue.is_none() {
            return self.take(key, waiter);
        }
        if let Some(lock) = &mut entry.lock
            && lock.id == waiter.id
        {
            lock.ends = after(waiter.ttl);
            let token = lock.token;
            return Acquired::Held(Some(token.unwrap_or_else(|| self.locks.next_number())));
        }
        if !wait && entry.lock.is_some() {
            return Acquired::Taken;
        }
        if wait {
            self.join(key, waiter);
        }
        let held = self.mend_if_free(key);
        match &held {
            Held::Ours(handed) if handed.id == waiter.id => Acquired::Held(Some(handed.token)),
            Held::Free if !wait => self.take(key, waiter),
            _ => Acquired::Waits(self.view(key, held)),
        }
    }

    /// Frees the lock for the first who waits.
    pub fn release(&mut self, key: &Text, id: &Text) -> Released {
        let entry = self.locks.entry(key);
        let released = match entry.lock.take_if(|lock| lock.id == *id) {
            None => Released::No,
            Some(Lock { queued: None, .. }) => Released::Yes,
            Some(Lock { queued: Some(queued), .. }) => self.hand_on(key, queued),
        };
        self.locks.tidy(key);
        released
    }

    /// Sets the remaining time of the lock.
    pub fn extend(&mut self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        let entry = self.locks.entry(key);
        let Some(lock) = entry.lock.as_mut().filter(|lock| lock.id == *id) else {
            return Ok(Released::No);
        };
        if milliseconds.fract() != 0.0 || milliseconds.abs() > i64::MAX as f64 {
            return Err(Error::Redis {
                code: "ERR".into(),
                message: "value is not an integer or out of range".into(),
            });
        }
        if milliseconds <= 0.0 {
            return Ok(self.release(key, id));
        }
        let before = lock.ends;
        lock.ends = after(Duration::from_millis(milliseconds as u64));
        if lock.queued.is_some() && is_earlier(lock.ends, before) {
            self.tell_first(key);
        }
        Ok(Released::Yes)
    }

    /// Leaves the queue, and frees the lock if it was granted meanwhile.
    pub fn abandon(&mut self, key: &Text, waiter: &Waiter) -> Released {
        let entry = self.locks.entry(key);
        if let Some(queue) = &mut entry.queue
            && queue.has(waiter, self.process)
            && queue.remove(waiter)
        {
            tidy(&mut entry.queue);
        }
        self.release(key, &waiter.id)
    }

    /// This process still waits.
    pub fn beat(&mut self, key: &Text, first: &Waiter, delay: Duration) -> Beat {
        let entry = self.locks.entry(key);
        let queued = entry.queue.as_ref().is_some_and(|queue| {
            queue.alive.contains_key(self.process) && queue.has(first, self.process)
        });
        let known = queued || entry.lock.as_ref().is_some_and(|lock| lock.id == first.id);
        if known {
            self.keep(key);
        }
        let Entry { lock, queue } = self.locks.entry(key);
        match (lock, queue) {
            (Some(Lock { token: None, .. }), Some(queue)) if known => met_version_2(queue, delay),
            (Some(lock @ Lock { token: Some(_), .. }), _) if known => {
                lock.queued.get_or_insert(1);
            }
            _ => {}
        }
        let held = self.mend_if_free(key);
        let view = self.view(key, held);
        self.locks.tidy(key);
        if known { Beat::Known(view) } else { Beat::Lost(view) }
    }

    fn take(&mut self, key: &Text, waiter: &Waiter) -> Acquired {
        let token = self.locks.next_number();
        self.locks.entry(key).lock = Some(held_by(waiter, token, None, waiter.ttl));
        Acquired::Held(Some(token))
    }

    fn join(&mut self, key: &Text, waiter: &Waiter) {
        self.keep(key);
        let number = self.locks.next_number();
        let entry = self.locks.entry(key);
        if let Some(queue) = &mut entry.queue
            && !queue.has(waiter, self.process)
        {
            queue.add(number, waiter.clone(), self.process.clone());
        }
        match (&mut entry.lock, &mut entry.queue) {
            (Some(Lock { token: None, .. }), Some(queue)) => met_version_2(queue, DELAY),
            (Some(lock), _) => {
                lock.queued.get_or_insert(1);
            }
            _ => {}
        }
    }

    /// Says that this process is alive, and keeps the queue for it.
    fn keep(&mut self, key: &Text) {
        let now = Instant::now();
        let queue = self.locks.entry(key).queue.get_or_insert_with(Queue::new);
        if queue.alive.insert(self.process.clone(), now + ALIVE).is_none() {
            queue.alive.retain(|_, until| *until >= now);
            queue.version_2.take_if(|until| *until < now);
            queue.window.take_if(|until| *until < now);
            queue.shut.take_if(|until| *until < now);
        }
        queue.ends = now + KEPT;
    }

    /// The lock was let go: the first waiter gets it, unless it is the turn of version-2 processes.
    fn hand_on(&mut self, key: &Text, mut queued: u64) -> Released {
        if queued >= TURNS {
            queued = 0;
            if let Some(queue) = &mut self.locks.entry(key).queue
                && !queue.is_empty()
                && let Some(length) = window(queue)
            {
                queue.window = after(length);
                queue.theirs = after(Duration::ZERO);
                self.tell_first(key);
                return Released::Yes;
            }
        }
        match self.promote(key, queued + 1) {
            Some((handed, true)) => Released::HandedOn(handed),
            Some((_, false)) => Released::Yes,
            None => {
                tidy(&mut self.locks.entry(key).queue);
                Released::Yes
            }
        }
    }

    /// Who holds the lock, after it was handed on if it was free with a queue before it.
    fn mend_if_free(&mut self, key: &Text) -> Held {
        let now = Instant::now();
        let Entry { lock, queue } = self.locks.entry(key);
        if let Some(lock) = lock {
            return match lock.token {
                Some(token) => Held::Ours(Handed { id: lock.id.clone(), token }),
                None => Held::Foreign,
            };
        }
        let Some(queue) = queue else { return Held::Free };
        if queue.window.is_some_and(|until| until > now) {
            return Held::Window;
        }
        if let Some(since) = queue.theirs.take() {
            let mut pause = (now - since) * 3 / 2;
            if queue.window.take().is_some() {
                pause = (2 * queue.pause).clamp(PAUSE, LONGEST_PAUSE);
                queue.pause = pause;
            }
            queue.shut = Some(now + pause);
        }
        match self.promote(key, 1) {
            Some((handed, _)) => Held::Ours(handed),
            None => Held::Free,
        }
    }

    /// Gives the lock to the first waiter whose process is alive and hears of it. Says whether that
    /// is this one.
    fn promote(&mut self, key: &Text, queued: u64) -> Option<(Handed, bool)> {
        let mut passed = 0;
        let (token, time) = (self.locks.next_number(), self.locks.time());
        for _ in 0..MOST {
            let queue = self.locks.entry(key).queue.as_mut()?;
            let (waiter, process) = queue.first(passed)?;
            let here = process == *self.process;
            let handed = Handed { id: waiter.id.clone(), token };
            if !here && queue.alive.get(&process).is_none_or(|until| *until <= Instant::now()) {
                queue.remove(&waiter);
                queue.alive.remove(&process);
            } else if here || (self.tell)(&process, Message::Granted(handed.clone(), time)) {
                queue.remove(&waiter);
                let ttl = if here { waiter.ttl } else { waiter.ttl.min(CLAIM) };
                let lock = held_by(&waiter, token, Some(queued), ttl);
                self.locks.entry(key).lock = Some(lock);
                return Some((handed, here));
            } else {
                passed += 1;
            }
        }
        None
    }

    fn tell_first(&mut self, key: &Text) {
        if let Some(queue) = &self.locks.entry(key).queue
            && let Some((_, process)) = queue.first(0)
        {
            (self.tell)(&process, Message::Look(key.clone()));
        }
    }

    fn view(&mut self, key: &Text, held: Held) -> View {
        let at = self.locks.time();
        let Entry { lock, queue } = self.locks.entry(key);
        let ends = match (&held, lock, queue) {
            (Held::Window, _, Some(queue)) => queue.window,
            (_, Some(lock), _) => lock.ends,
            _ => None,
        };
        View { held, left: ends.map(|ends| ends - Instant::now()), at }
    }
}

/// Nobody waits any more, perhaps: then the queue goes, unless it is to be remembered that version 2
/// did not use its window.
fn tidy(queue: &mut Option<Queue>) {
    let now = Instant::now();
    queue.take_if(|queue| queue.is_empty() && queue.shut.is_none_or(|until| until <= now));
}

/// The length of the barge window, if there is to be one now.
fn window(queue: &Queue) -> Option<Duration> {
    let now = Instant::now();
    let contends = queue.version_2.is_some_and(|until| until > now);
    let shut = queue.shut.is_some_and(|until| until > now);
    let length = if queue.delay.is_zero() { DELAY } else { queue.delay };
    (contends && !shut).then_some(length * 5 / 4)
}

/// A version-2 process holds the lock.
fn met_version_2(queue: &mut Queue, delay: Duration) {
    queue.version_2 = after(SEEN);
    queue.delay = delay;
    queue.theirs.get_or_insert_with(Instant::now);
    queue.window = None;
    queue.shut = None;
    queue.pause = Duration::ZERO;
}

fn held_by(waiter: &Waiter, token: u64, queued: Option<u64>, ttl: Duration) -> Lock {
    let Waiter { id, owner, .. } = waiter.clone();
    Lock { id, owner, token: Some(token), queued, ends: after(ttl) }
}

/// Whether `end` is earlier than `other`; `None` is never.
fn is_earlier(end: Option<Instant>, other: Option<Instant>) -> bool {
    match (end, other) {
        (Some(end), Some(other)) => end < other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
