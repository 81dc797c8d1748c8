//! The steps: what `src/lua` says, in Rust. The names and the order are the same there.

use std::time::Duration;

use tokio::time::Instant;

use super::locks::{Entry, Lock, Locks, Queue, after, is_earlier};
use crate::backend::{
    Acquired, AcquiredAll, Beat, CLAIM, Handed, Held, Listing, Message, Queued, Released, Sharing,
    Text, View, Waiter,
};
use crate::error::{Error, Result};
use crate::id;

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
            _ => Acquired::Waits(view),
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

    /// Takes the lock from whoever holds it.
    pub fn steal(&mut self, key: &Text, waiter: &Waiter) -> Acquired {
        if let Some(held) = self.renew(key, waiter) {
            return held;
        }
        let victims = self.take_away(key);
        let queue = &mut self.locks.entry(key).queue;
        let queued = queue.as_ref().is_some_and(|queue| !queue.is_empty()).then_some(1);
        if let Some(queue) = queue
            && queued.is_some()
        {
            (queue.window, queue.theirs) = (None, None);
        }
        let token = self.locks.next_number();
        let lock = Lock::held_by(waiter, token, queued, waiter.ttl);
        self.locks.entry(key).lock = Some(lock);
        self.tell_lost(victims);
        Acquired::Held(Some(token))
    }

    /// Frees the lock, whoever holds it, for the first who waits.
    pub fn force(&mut self, key: &Text) -> Released {
        let Entry { lock, queue } = self.locks.entry(key);
        let queued = lock.as_ref().map(|lock| lock.queued.unwrap_or(0));
        let somebody_waits = queue.as_ref().is_some_and(|queue| !queue.is_empty());
        let victims = self.take_away(key);
        self.locks.next_number();
        let released = match queued {
            None => Released::No,
            Some(queued) if somebody_waits => self.hand_on(key, queued),
            Some(_) => Released::Yes,
        };
        self.tell_lost(victims);
        self.locks.tidy(key);
        released
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
    fn renew(&mut self, key: &Text, waiter: &Waiter) -> Option<Acquired> {
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

    /// Those who had the lock. Version-2 processes are told nothing, and have no tokens.
    fn take_away(&mut self, key: &Text) -> Vec<Handed> {
        let lock = self.locks.entry(key).lock.take();
        let holders = lock.iter().flat_map(Lock::holders);
        let handed = holders
            .filter_map(|holder| Some(Handed { id: holder.id.into(), token: holder.token? }));
        handed.collect()
    }

    fn tell_lost(&self, victims: Vec<Handed>) {
        for lock in victims {
            (self.tell)(&id::process_of(&lock.id).into(), Message::Lost(lock));
        }
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

    /// The lock was let go: the first waiters get it, unless it is the turn of version-2 processes.
    fn hand_on(&mut self, key: &Text, mut queued: u64) -> Released {
        if queued >= TURNS {
            queued = 0;
            if let Some(queue) = &mut self.locks.entry(key).queue
                && !queue.is_empty()
                && let Some(length) = window(queue)
            {
                queue.window = after(length);
                queue.theirs = after(Duration::ZERO);
                self.tell_first(key, 0);
                return Released::Yes;
            }
        }
        let (granted, handed) = self.promote(key, queued + 1, None, |_| true);
        if !granted {
            tidy(&mut self.locks.entry(key).queue);
        }
        released(handed)
    }

    /// Who holds the lock, after it was handed on if it was free with a queue before it, or if there
    /// was room for another share. Who asks, as `id`, learns from the answer what it was given.
    fn mend(&mut self, key: &Text, id: Option<&Text>) -> Held {
        let now = Instant::now();
        let Entry { lock, queue } = self.locks.entry(key);
        if let Some(lock) = lock {
            let Some(token) = lock.token else { return Held::Foreign };
            let held = Held::Ours(Handed { id: lock.id.clone(), token });
            if let (Some(shares), Some(queued)) = (&lock.shares, lock.queued)
                && shares.has_room()
            {
                let capacity = shares.capacity;
                self.promote(key, queued, Some(capacity), |other| Some(other) == id);
            }
            return held;
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
        let (granted, _) = self.promote(key, 1, None, |other| Some(other) == id);
        match &self.locks.entry(key).lock {
            Some(Lock { id, token: Some(token), .. }) if granted => {
                Held::Ours(Handed { id: id.clone(), token: *token })
            }
            _ => Held::Free,
        }
    }

    /// Gives the lock, which is free or if `capacity` is given shared with room for more, to the first
    /// waiters whose processes are alive and hear of it; those of this process that `knows` accepts
    /// need no message. What is too much for one step is left to the next beat, which is then due at once.
    /// Says whether anybody got it, and those who were told nothing.
    fn promote(
        &mut self,
        key: &Text,
        queued: u64,
        mut capacity: Option<u32>,
        knows: impl Fn(&Text) -> bool,
    ) -> (bool, Vec<Handed>) {
        let (mut passed, mut granted, mut handed) = (0, false, Vec::new());
        let time = self.locks.time();
        for turn in 0.. {
            // If all are silent, another beat would find the same.
            if turn == MOST && passed < MOST {
                self.tell_first(key, passed);
            }
            if turn == MOST {
                break;
            }
            let token = self.locks.next_number();
            let Entry { lock, queue } = self.locks.entry(key);
            let Some(queue) = queue else { break };
            let Some((waiter, process)) = queue.first(passed) else { break };
            let here = process == *self.process;
            if !here && !queue.lives(&process) {
                queue.remove(&waiter);
                queue.alive.remove(&process);
                continue;
            }
            let has_room = lock.as_ref().is_some_and(Lock::has_room);
            if capacity.is_some() && !(waiter.sharing.capacity() == capacity && has_room) {
                break;
            }
            let here = here && knows(&waiter.id);
            let given = Handed { id: waiter.id.clone(), token };
            let message = || Message::Granted(key.clone(), given.clone(), time);
            if !here && !(self.tell)(&process, message()) {
                passed += 1;
                // It was written down before it was told, and is taken back.
                if let (Some(lock), Some(_)) = (lock, capacity) {
                    lock.write_share(&waiter, token, waiter.ttl.min(CLAIM));
                    lock.take_back(&waiter.id);
                }
                continue;
            }
            queue.remove(&waiter);
            let ttl = if here { waiter.ttl } else { waiter.ttl.min(CLAIM) };
            match lock {
                Some(lock) if capacity.is_some() => lock.write_share(&waiter, token, ttl),
                _ => *lock = Some(Lock::held_by(&waiter, token, Some(queued), ttl)),
            }
            handed.extend(here.then_some(given));
            granted = true;
            capacity = waiter.sharing.capacity();
            if capacity.is_none() {
                break;
            }
        }
        (granted, handed)
    }

    /// Who is first after `passed` others is to beat now; this process is, if that one is dead or silent.
    fn tell_first(&mut self, key: &Text, passed: usize) {
        let look = Message::Look(key.clone());
        if let Some(queue) = &self.locks.entry(key).queue
            && let Some((_, process)) = queue.first(passed)
            && !(queue.lives(&process) && (self.tell)(&process, look.clone()))
        {
            (self.tell)(self.process, look);
        }
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

/// What a step that lets go of a lock answers.
fn released(handed: Vec<Handed>) -> Released {
    match handed.is_empty() {
        true => Released::Yes,
        false => Released::HandedOn(handed),
    }
}

/// Whether `id` holds the lock, or a share of it.
fn has(lock: &Lock, id: &Text) -> bool {
    match &lock.shares {
        Some(shares) => shares.of(id).is_some(),
        None => lock.id == *id,
    }
}

/// Those who share a lock must agree on how many may.
fn must_agree(capacity: u32, other: u32) -> Result<()> {
    match capacity == other {
        true => Ok(()),
        false => Err(Error::Permits(Sharing::of(other))),
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
