//! Who came before whom in this process, also where nobody has a place in the queue yet.

use std::future::poll_fn;
use std::pin::pin;

use tokio::select;
use tokio::time::timeout_at;

use crate::backend::{Backend, Sharing, Text};
use crate::claim::Claim;
use crate::error::Result;
use crate::gate::Turn;
use crate::locker::{Acquire, Lock, Locker};
use crate::schedule::Schedule;

impl<B: Backend> Locker<B> {
    /// Whether a call has to wait for those who came before, or with `lines_up` for messages.
    pub(crate) fn is_held_up(&self, lines_up: bool) -> bool {
        self.gate.is_busy() || (lines_up && self.waiting.subscription.is_expected())
    }

    /// Waits for that; those who come later wait for what is returned to be dropped.
    pub(crate) async fn turn(&self, lines_up: bool) -> Option<Turn<'_>> {
        if !self.is_held_up(lines_up) {
            return None;
        }
        let turn = self.gate.turn().await;
        if lines_up && self.waiting.subscription.is_expected() {
            self.listen();
            let mut expected = pin!(self.waiting.subscription.expected());
            select! {
                () = &mut expected => {}
                // Any step connects, and the attempt needs that, too.
                _ = self.backend().mode() => expected.await,
            }
        }
        Some(turn)
    }

    /// Takes a lock when those who came before have asked.
    pub(crate) async fn take_in_turn(&self, request: Acquire) -> Result<Option<Lock>> {
        let turn = self.turn(request.lines_up);
        let mut turn = match request.schedule.deadline() {
            None => turn.await,
            Some(end) => match timeout_at(end, turn).await {
                Ok(turn) => turn,
                Err(_) => {
                    return self.not_begun(&request.key, &request.schedule).await.map(|()| None);
                }
            },
        };
        then_drop(self.take(request), &mut turn).await
    }

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
        match self.ask(request).await? {
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

/// Carries out `future`, and drops what is in `place` once that has begun.
pub async fn then_drop<F: Future, P>(future: F, place: &mut Option<P>) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        place.take();
        polled
    })
    .await
}
