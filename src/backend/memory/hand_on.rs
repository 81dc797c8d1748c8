//! How a lock goes to those who wait for it.

use std::time::Duration;

use tokio::time::Instant;

use super::locks::{Entry, Lock, after};
use super::queue::{tidy, window};
use super::step::Step;
use crate::backend::{CLAIM, Handed, Held, Message, Released, Text};

const TURNS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const MOST: usize = 64;

impl Step<'_> {
    /// The lock was let go: the first waiters get it, unless it is the turn of version-2 processes.
    pub fn hand_on(&mut self, key: &Text, mut queued: u64) -> Released {
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
    pub fn mend(&mut self, key: &Text, id: Option<&Text>) -> Held {
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
    pub fn promote(
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
    pub fn tell_first(&mut self, key: &Text, passed: usize) {
        let look = Message::Look(key.clone());
        if let Some(queue) = &self.locks.entry(key).queue
            && let Some((_, process)) = queue.first(passed)
            && !(queue.lives(&process) && (self.tell)(&process, look.clone()))
        {
            (self.tell)(self.process, look);
        }
    }
}

/// What a step that lets go of a lock answers.
pub fn released(handed: Vec<Handed>) -> Released {
    match handed.is_empty() {
        true => Released::Yes,
        false => Released::HandedOn(handed),
    }
}
