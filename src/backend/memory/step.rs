//! The steps: what `src/lua` says, in Rust. The names and the order are the same there.

use std::time::Duration;

use tokio::time::Instant;

use super::hand_on::released;
use super::locks::{Entry, Lock, Locks, after, is_earlier};
use super::queue::{DELAY, Queue, met_version_2, tidy};
use super::shares::must_agree;
use crate::backend::{
    Acquired, AcquiredAll, Beat, Handed, Held, Listing, Message, Queued, Released, Sharing, Text,
    View, Waiter,
};
use crate::error::{Error, Result};

const ALIVE: Duration = Duration::from_secs(3);
const KEPT: Duration = Duration::from_secs(10);

/// One step of one process.
pub struct Step<'a> {
    pub locks: &'a mut Locks,
    pub process: &'a Text,
    /// Whether the process heard the message.
    pub tell: &'a dyn Fn(&Text, Message) -> bool,
}

impl Step<'_> {
    /// Takes the lock or a share of it, renews it, or joins the queue.
    pub fn acquire(&mut self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        let entry = self.locks.entry(key);
        if entry.lock.is_none() && entry.queue.is_none() {
            return Ok(self.take(key, waiter));
        }
        let asked = waiter.sharing.capacity();
        if let Some(held) = self.renew(key, waiter) {
            return Ok(held);
        }
        if let (Some(asked), Some(lock)) = (asked, &self.locks.entry(key).lock)
            && let Some(shares) = &lock.shares
        {
            must_agree(asked, shares.capacity)?;
        }
        if self.may_share(key, waiter) {
            return Ok(self.share(key, waiter));
        }
        let Entry { lock, queue } = self.locks.entry(key);
        // Those before us may be dead.
        let room = asked.is_some() && lock.as_ref().is_some_and(Lock::has_room);
        if !wait && lock.is_some() && !room {
            return Ok(Acquired::Taken);
        }
        if wait {
            if let (Some(asked @ 1..), Some(queue)) = (asked, queue)
                && let Some(permits) = queue.permits
            {
                must_agree(asked, permits)?;
            }
            self.join(key, waiter);
        }
        let held = self.mend(key, Some(&waiter.id));
        if held == Held::Free && !wait {
            return Ok(self.take(key, waiter));
        }
        let view = self.view(key, &waiter.id, held);
        Ok(match view.held {
            Held::Ours(handed) if handed.id == waiter.id => Acquired::Held(Some(handed.token)),
            _ if !wait && room && self.may_share(key, waiter) => self.share(key, waiter),
            _ => {
                let queue = &self.locks.entry(key).queue;
                let ticket = queue.as_ref().and_then(|queue| queue.ticket_of(waiter, self.process));
                Acquired::Waits(view, ticket.filter(|_| wait))
            }
        })
    }

    /// Whether there is room for a share, and nobody waits for it.
    fn may_share(&mut self, key: &Text, waiter: &Waiter) -> bool {
        let Entry { lock, queue } = self.locks.entry(key);
        waiter.sharing != Sharing::Exclusive
            && lock.as_ref().is_some_and(Lock::has_room)
            && queue.as_ref().is_none_or(Queue::is_empty)
    }

    /// Takes all of the locks or none.
    pub fn acquire_all(&mut self, wanted: &[(Text, Waiter)]) -> AcquiredAll {
        for (number, (key, waiter)) in wanted.iter().enumerate() {
            let lock = &self.locks.entry(key).lock;
            let is_ours = lock.as_ref().is_some_and(|lock| lock.id == waiter.id);
            if !is_ours && self.mend(key, None) != Held::Free {
                return AcquiredAll::Taken(number);
            }
        }
        let token = self.locks.next_number();
        for (key, waiter) in wanted {
            let slot = &mut self.locks.entry(key).lock;
            let queued = slot.as_ref().and_then(|lock| lock.queued);
            let mut taken = Lock::held_by(waiter, token, queued, waiter.ttl);
            if let Some(ours) = slot {
                taken.last(ours.ends);
            }
            *slot = Some(taken);
        }
        AcquiredAll::Held(token)
    }

    /// Frees the lock, or the share, for the first who waits.
    pub fn release(&mut self, key: &Text, id: &Text) -> Released {
        let entry = self.locks.entry(key);
        let released = match entry.lock.take_if(|lock| lock.shares.is_none() && lock.id == *id) {
            None => self.release_share(key, id),
            Some(Lock { queued: None, .. }) => Released::Yes,
            Some(Lock { queued: Some(queued), .. }) => self.hand_on(key, queued),
        };
        self.locks.tidy(key);
        released
    }

    fn release_share(&mut self, key: &Text, id: &Text) -> Released {
        let slot = &mut self.locks.entry(key).lock;
        let Some(Lock { shares: Some(shares), queued, .. }) = slot else { return Released::No };
        if shares.of(id).is_none() {
            return Released::No;
        }
        shares.by_id.remove(id);
        let (queued, capacity) = (*queued, shares.capacity);
        if shares.by_id.is_empty() {
            *slot = None;
            return queued.map_or(Released::Yes, |queued| self.hand_on(key, queued));
        }
        match queued {
            Some(queued) if capacity > 0 => {
                released(self.promote(key, queued, Some(capacity), |_| true).1)
            }
            _ => Released::Yes,
        }
    }

    /// Sets the remaining time of the lock, or of the share.
    pub fn extend(&mut self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        let Some(lock) = &mut self.locks.entry(key).lock else { return Ok(Released::No) };
        let share = lock.shares.as_ref().map(|shares| shares.of(id));
        let before = match share {
            None if lock.id == *id => lock.ends,
            Some(Some(share)) => share.ends,
            _ => return Ok(Released::No),
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
        let ttl = Duration::from_millis(milliseconds as u64);
        match share.flatten() {
            None => lock.ends = after(ttl),
            Some(share) => {
                let (token, owner) = (share.token, share.owner.clone());
                let sharing = Sharing::Shared;
                lock.write_share(&Waiter { id: id.clone(), owner, ttl, sharing }, token, ttl);
            }
        }
        if lock.queued.is_some() && is_earlier(after(ttl), before) {
            self.tell_first(key, 0);
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
            // Those behind us may share the lock with its holders.
            if entry.lock.as_ref().is_some_and(|lock| lock.shares.is_some()) {
                self.tell_first(key, 0);
            }
        }
        self.release(key, &waiter.id)
    }

    /// This process still waits.
    pub fn beat(&mut self, key: &Text, first: &Waiter, delay: Duration) -> Beat {
        let entry = self.locks.entry(key);
        let queued = entry.queue.as_ref().is_some_and(|queue| {
            queue.alive.contains_key(self.process) && queue.has(first, self.process)
        });
        let known = queued || entry.lock.as_ref().is_some_and(|lock| has(lock, &first.id));
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
        let held = self.mend(key, Some(&first.id));
        let view = self.view(key, &first.id, held);
        self.locks.tidy(key);
        if known { Beat::Known(view) } else { Beat::Lost(view) }
    }

    /// Who holds each of the keys, and who waits.
    pub fn list(&mut self, key: &Text) -> Listing {
        let time = self.locks.time();
        let Entry { lock, queue } = self.locks.entry(key);
        let holders = lock.as_ref().map(Lock::holders).unwrap_or_default();
        let waiters = queue.iter().flat_map(Queue::waiters);
        let waiters = waiters
            .map(|(ticket, waiter)| Queued {
                id: waiter.id.to_string(),
                owner: waiter.owner.to_string(),
                sharing: waiter.sharing,
                waited: time.saturating_sub(Duration::from_micros(ticket)),
            })
            .collect();
        let listing = Listing { key: key.clone(), holders, waiters };
        self.locks.tidy(key);
        listing
    }

    /// The same once more: a repeated call, a lost reply or message. It may come behind an extension, and
    /// makes nothing shorter.
    pub fn renew(&mut self, key: &Text, waiter: &Waiter) -> Option<Acquired> {
        let lock = self.locks.entry(key).lock.as_mut()?;
        if !has(lock, &waiter.id) {
            return None;
        }
        let ends = after(waiter.ttl);
        let share = lock.shares.as_ref().and_then(|shares| shares.of(&waiter.id));
        let token = match share.map(|share| (share.token, is_earlier(share.ends, ends))) {
            Some((token, ends_sooner)) => {
                if ends_sooner {
                    lock.write_share(waiter, token, waiter.ttl);
                }
                Some(token)
            }
            None => {
                lock.last(ends);
                lock.token
            }
        };
        Some(Acquired::Held(Some(token.unwrap_or_else(|| self.locks.next_number()))))
    }

    fn take(&mut self, key: &Text, waiter: &Waiter) -> Acquired {
        let token = self.locks.next_number();
        self.locks.entry(key).lock = Some(Lock::held_by(waiter, token, None, waiter.ttl));
        Acquired::Held(Some(token))
    }

    fn share(&mut self, key: &Text, waiter: &Waiter) -> Acquired {
        let token = self.locks.next_number();
        if let Some(lock) = &mut self.locks.entry(key).lock {
            lock.write_share(waiter, token, waiter.ttl);
        }
        Acquired::Held(Some(token))
    }

    fn join(&mut self, key: &Text, waiter: &Waiter) {
        self.keep(key);
        let number = self.locks.next_number();
        let entry = self.locks.entry(key);
        if let Some(queue) = &mut entry.queue {
            if let Some(permits @ 1..) = waiter.sharing.capacity() {
                queue.permits = Some(permits);
            }
            if !queue.has(waiter, self.process) {
                queue.add(number, waiter.clone(), self.process.clone());
            }
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

    /// What the process of `id` is told. Of a lock that is shared: its own share, or when the next may
    /// be over.
    fn view(&mut self, key: &Text, id: &Text, held: Held) -> View {
        let at = self.locks.time();
        let left = |ends: Option<Instant>| ends.map(|ends| ends - Instant::now());
        let Entry { lock, queue } = self.locks.entry(key);
        let Some(Lock { shares: Some(shares), .. }) = lock else {
            let ends = match (&held, lock, queue) {
                (Held::Window, _, Some(queue)) => queue.window,
                (_, Some(lock), _) => lock.ends,
                _ => None,
            };
            return View { held, left: left(ends), at };
        };
        let (held, ends) = match shares.of(id) {
            Some(share) => (Held::Ours(Handed { id: id.clone(), token: share.token }), share.ends),
            None => (Held::Shared, shares.earliest),
        };
        View { held, left: left(ends), at }
    }
}

/// Whether `id` holds the lock, or a share of it.
fn has(lock: &Lock, id: &Text) -> bool {
    match &lock.shares {
        Some(shares) => shares.of(id).is_some(),
        None => lock.id == *id,
    }
}
