//! Waiting without a queue: try again and again, as version 2 did, one caller per key and process.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::backend::{Backend, Text};
use crate::claim::{Attempt, Claim};
use crate::error::{Cause, Error, Result};
use crate::lease::Grant;
use crate::line::{Lines, Place};
use crate::patience::Patience;
use crate::schedule::Schedule;
use crate::waiting::Waiting;

/// The callers of this process that poll.
#[derive(Debug)]
pub struct Polling<B: Backend> {
    waiting: Arc<Waiting<B>>,
    lines: Lines,
    patience: Duration,
}

/// How polling ended.
#[derive(Debug)]
pub enum Polled {
    /// The lock is ours, after the server was asked that often.
    Granted(Grant, u64),
    /// The lock stayed taken.
    Taken,
    /// There is a queue after all, and this is the place in it.
    Queued(Attempt),
}

impl<B: Backend> Polling<B> {
    /// Polls through `waiting`; a wait fails when it had no answer for as long as `patience`.
    pub fn new(waiting: Arc<Waiting<B>>, patience: Duration) -> Self {
        Polling { waiting, lines: Lines::default(), patience }
    }

    /// A place among the callers of this process for what `claim` claims, in the order they came.
    /// Nobody has to look out for its attempts any more.
    pub fn join(&self, claim: &mut Claim<B>) -> Place {
        let place = self.lines.join(claim.key(), claim.order());
        claim.watch_out(None);
        place
    }

    /// Whether callers of this process are in line for `key`.
    pub fn has_line(&self, key: &Text) -> bool {
        self.lines.has(key)
    }

    /// A lock was released: the first who waits for it in this process should ask now.
    pub fn call_first(&self, key: &Text) {
        self.lines.call_first(key);
    }

    /// Tries as the schedule says and ends at its deadline.
    pub async fn acquire(&self, claim: &mut Claim<B>, schedule: &Schedule) -> Result<Polled> {
        let place = self.join(claim);
        let mut patience = Patience::new(self.patience);
        let mut tries = schedule.clone();
        if claim.attempts() > 0 {
            // That there is no queue was the answer to its first try.
            place.asks();
            place.answered();
            tries.tried();
        }
        let wait = self.wait(tries, &place, claim, &mut patience);
        let outcome = match schedule.deadline() {
            None => Ok(wait.await),
            Some(deadline) => timeout_at(deadline, wait).await,
        };
        match outcome {
            Err(_) => self.out_of_time(schedule, &place, claim, &patience).map(|()| Polled::Taken),
            Ok(answer) => Ok(match answer? {
                Some(Attempt::Held(grant)) => Polled::Granted(grant, place.answers().max(1)),
                Some(attempt) => Polled::Queued(attempt),
                None => Polled::Taken,
            }),
        }
    }

    /// Asks once, for everybody in the line. `None`: taken.
    async fn ask(&self, place: &Place, claim: &mut Claim<B>) -> Result<Option<Attempt>> {
        place.asks();
        let attempt = claim.attempt(self.waiting.is_subscribed()).await?;
        place.answered();
        match attempt {
            Attempt::Held(_) | Attempt::Waits(..) => Ok(Some(attempt)),
            Attempt::Taken | Attempt::NoQueue => Ok(None),
        }
    }

    /// [`Patience::bear`], and those who wait behind know why.
    pub async fn bear(
        &self,
        place: &Place,
        patience: &mut Patience,
        error: Error,
        asked: Instant,
    ) -> Result<()> {
        let worth_another = patience.note(error, asked);
        place.fails(patience.trouble());
        worth_another?;
        patience.pause().await;
        Ok(())
    }

    /// Tries until the lock is ours, or a place in the queue, or the schedule is through.
    async fn wait(
        &self,
        mut schedule: Schedule,
        place: &Place,
        claim: &mut Claim<B>,
        patience: &mut Patience,
    ) -> Result<Option<Attempt>> {
        if !place.is_first() {
            if schedule.deadline().is_some() {
                // Its first try, which the first of the line makes for it.
                place.call_first();
            }
            if !place.comes_first(schedule.last_try()).await && !self.last_chance(place).await? {
                return Ok(None);
            }
            schedule.skip_missed();
            if let Some(trouble) = place.trouble() {
                patience.share(trouble, schedule.started())?;
            }
        }
        loop {
            let called = match place.last_answer() {
                Some(answered) => place.called(Some(schedule.next_try(answered))).await,
                None => false,
            };
            let granted = loop {
                let asked = Instant::now();
                match self.ask(place, claim).await {
                    Ok(granted) => break granted,
                    Err(error) => self.bear(place, patience, error, asked).await?,
                }
            };
            patience.rest();
            if granted.is_some() {
                return Ok(granted);
            }
            // A try between two of the schedule is a gift and does not use one up.
            if !called && schedule.tried() {
                return Ok(None);
            }
        }
    }

    /// Somebody was first until the last try was due. Says whether the caller may make that try
    /// after all; if not, the first of the line was told that the lock is taken, or took it.
    async fn last_chance(&self, place: &Place) -> Result<bool> {
        if place.answers() > 0 {
            return Ok(false);
        }
        let silence = || Error::Unreachable(Cause::timeout("no answer", self.patience));
        timeout(self.patience, place.comes_first_or_hears()).await.map_err(|_| silence())
    }

    /// What a caller may be told at its deadline: "taken" only if Redis said so.
    fn out_of_time(
        &self,
        schedule: &Schedule,
        place: &Place,
        claim: &Claim<B>,
        patience: &Patience,
    ) -> Result<()> {
        if let Some(trouble) = patience.trouble() {
            return Err(trouble.error.clone());
        }
        if let Some(trouble) = place.trouble() {
            return Err(trouble.into_error_of_another());
        }
        if let Some(error) = self.waiting.settling() {
            return Err(error);
        }
        if place.answers() > 0 || claim.attempts() > 0 {
            return Ok(());
        }
        Err(self.waiting.silence(claim.is_open(), schedule.elapsed()))
    }
}
