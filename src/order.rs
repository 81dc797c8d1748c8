//! Who came before whom in this process, also where nobody has a place in the queue yet.

use tokio::time::timeout_at;

use crate::backend::{Backend, Sharing, Text};
use crate::claim::Claim;
use crate::error::Result;
use crate::locker::{Acquire, Lock, Locker};
use crate::schedule::Schedule;

impl<B: Backend> Locker<B> {
    /// Takes a share now or not at all: who does not wait gets none before those who do.
    pub(crate) async fn share_at_once(&self, request: Acquire) -> Result<Option<Lock>> {
        let (key, ttl, deadline) = (request.key.clone(), request.ttl, request.schedule.deadline());
        if !self.waiting.is_subscribed() && self.early.any_alone() {
            let in_line = self.until_in_line();
            match deadline {
                None => in_line.await,
                Some(deadline) => drop(timeout_at(deadline, in_line).await),
            }
        }
        let comes_later = self.polling.has_line(&key);
        match self.take(request).await? {
            Some(lock) if comes_later => {
                self.give_back(key, lock.id, ttl);
                Ok(None)
            }
            lock => Ok(lock),
        }
    }

    /// Waits until those who asked without a place in the queue stand in line for one.
    async fn until_in_line(&self) {
        if self.subscribed().await {
            self.early.none().await;
        }
    }

    /// Whether others of this process came before and have no place in the queue yet.
    pub(crate) fn must_line_up(&self, key: &Text) -> bool {
        self.polling.has_line(key) || (self.waiting.is_subscribed() && self.early.any())
    }

    /// Whether a share could be had although somebody of this process came before who would have the lock
    /// alone, and has no place in the queue yet because messages do not reach us.
    pub(crate) fn may_overtake(&self, claim: &Claim<B>, schedule: &Schedule) -> bool {
        let shares = claim.waiter().sharing != Sharing::Exclusive;
        shares && schedule.waits() && !self.waiting.is_subscribed() && self.early.any_alone()
    }
}
