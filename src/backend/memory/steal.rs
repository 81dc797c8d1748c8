//! Locks that are taken from their holders.

use super::locks::{Entry, Lock};
use super::step::Step;
use crate::backend::{Acquired, Handed, Message, Released, Text, Waiter};
use crate::id;

impl Step<'_> {
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
}
