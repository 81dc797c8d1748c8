//! An acquire that has to wait: in the queue of the store, or by polling where there is none.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::time::{Instant, timeout_at};

use crate::backend::Backend;
use crate::claim::{Attempt, Claim};
use crate::error::{Error, Result};
use crate::lease::Grant;
use crate::line::Place;
use crate::locker::Locker;
use crate::order::then_drop;
use crate::patience::Patience;
use crate::polling::Polled;
use crate::schedule::Schedule;
use crate::waiters::News;
use crate::waiting;

/// What came of an attempt; an error with when it was made.
pub type Tried = std::result::Result<Attempt, (Error, Instant)>;

/// An acquire that has to wait. There may be very many: what it has only for a while is in boxes.
pub struct WaitingAcquire<'a, B: Backend> {
    locker: &'a Locker<B>,
    claim: &'a mut Claim<B>,
    schedule: &'a Schedule,
    patience: Patience,
    /// While there is trouble, or no place in the queue yet, those of this process ask in order.
    place: Option<Box<Place>>,
    /// The last attempt has failed.
    is_trouble: bool,
    /// What came of the first attempt, until that is looked at.
    first: Option<Box<Tried>>,
}

/// How waiting in the queue ended.
enum Outcome {
    Granted(Grant),
    Taken,
    NoQueue,
}

/// What came of asking for a place in the queue.
enum Joined<B: Backend> {
    Queue(waiting::Place<B>),
    Not(Outcome),
}

impl<'a, B: Backend> WaitingAcquire<'a, B> {
    /// Waits for what `claim` claims, as `schedule` says.
    ///
    /// `first` is what came of the first attempt, if it was made.
    pub fn new(
        locker: &'a Locker<B>,
        claim: &'a mut Claim<B>,
        schedule: &'a Schedule,
        first: Option<Box<Tried>>,
    ) -> Self {
        let patience = Patience::new(locker.patience);
        WaitingAcquire { locker, claim, schedule, patience, place: None, is_trouble: false, first }
    }

    /// Waits as the schedule says and ends at its deadline. The answer comes with how often the
    /// server was asked.
    ///
    /// Most callers who wait do so in the queue: what else there is to do has memory of its own
    /// while it is done.
    #[expect(clippy::manual_async_fn, reason = "that would have room for `self` twice")]
    pub fn wait(
        mut self,
    ) -> impl Future<Output = Result<(Option<Grant>, u64)>> + Send + use<'a, B> {
        async move {
            let polls = self.locker.polls.load(Ordering::Relaxed);
            let mut has_queue = self.first.is_some() || !polls;
            loop {
                if has_queue {
                    match within(self.schedule.deadline(), self.queue()).await {
                        Some(Err(error)) => return Err(error),
                        Some(Ok(Outcome::Granted(grant))) => {
                            return Ok((Some(grant), self.claim.attempts().max(1)));
                        }
                        Some(Ok(Outcome::Taken)) => return Ok((None, 0)),
                        Some(Ok(Outcome::NoQueue)) => {}
                        None => {
                            let told =
                                self.locker.out_of_time(self.claim, self.schedule, &self.patience);
                            return Box::pin(told).await.map(|()| (None, 0));
                        }
                    }
                }
                match Box::pin(self.locker.polling.acquire(self.claim, self.schedule)).await? {
                    Polled::Granted(grant, attempts) => return Ok((Some(grant), attempts)),
                    Polled::Taken => return Ok((None, 0)),
                    Polled::Queued(attempt) => self.first = Some(Box::new(Ok(attempt))),
                }
                has_queue = true;
            }
        }
    }

    /// Waits in the queue of the store.
    async fn queue(&mut self) -> Result<Outcome> {
        if self.first.is_none() {
            Box::pin(self.line_up()).await;
        }
        loop {
            let mut place = match Box::pin(self.join()).await? {
                Joined::Queue(place) => place,
                Joined::Not(outcome) => return Ok(outcome),
            };
            match within(self.schedule.gives_up_at(), place.news()).await {
                None => return self.taken(),
                // Too little left to start with, or no proof: ask, which renews it if it is
                // still ours.
                Some(News::Granted(grant)) if grant.is_stale() || self.is_doubtful() => {}
                Some(News::Granted(grant)) => return Ok(Outcome::Granted(grant)),
                Some(News::Again) => {}
                Some(News::NoQueue) => return Ok(Outcome::NoQueue),
                Some(News::Failed(error)) => return Err(error),
            }
        }
    }

    /// Gets into line where others came before and have no place in the queue yet.
    async fn line_up(&mut self) {
        let end = self.schedule.gives_up_at();
        if self.locker.may_overtake(self.claim, self.schedule) {
            self.place = Some(Box::new(self.locker.polling.join(self.claim)));
            within(end, self.locker.subscribed()).await;
            within(end, self.locker.early.none()).await;
        } else if self.locker.must_line_up(self.claim.key()) {
            self.place = Some(Box::new(self.locker.polling.join(self.claim)));
            // They are answered in a moment, and then stand in line before this one.
            within(end, self.locker.early.none()).await;
        }
    }

    /// Asks until this caller is in the queue, or need not be.
    async fn join(&mut self) -> Result<Joined<B>> {
        loop {
            let tried = match self.first.take() {
                Some(first) => *first,
                None => match self.try_in_turn().await? {
                    Some(tried) => tried,
                    None => return self.taken().map(Joined::Not),
                },
            };
            let attempt = match tried {
                Ok(attempt) => attempt,
                Err((error, asked)) => {
                    self.bear(error, asked).await?;
                    continue;
                }
            };
            self.answered();
            let outcome = match attempt {
                Attempt::Held(grant) => Outcome::Granted(grant),
                Attempt::NoQueue if self.schedule.waits() => Outcome::NoQueue,
                Attempt::NoQueue => Outcome::Taken,
                Attempt::Taken if !self.schedule.waits() => Outcome::Taken,
                Attempt::Taken => {
                    self.place = Some(Box::new(self.locker.polling.join(self.claim)));
                    match within(self.schedule.gives_up_at(), self.locker.subscribed()).await {
                        None => return self.taken().map(Joined::Not),
                        Some(true) => continue,
                        // For the time being, at least.
                        Some(false) => {
                            self.place = None;
                            Outcome::NoQueue
                        }
                    }
                }
                Attempt::Waits(view, ticket, joined) => {
                    let (key, waiter) = (self.claim.key(), self.claim.waiter());
                    let delay = self.schedule.retry_delay();
                    let waiting = &self.locker.waiting;
                    let place = waiting.wait(key, waiter, &view, ticket, joined, delay);
                    return Ok(Joined::Queue(place));
                }
            };
            return Ok(Joined::Not(outcome));
        }
    }

    /// Asks when it is this caller's turn. `None`: its time was over before.
    async fn try_in_turn(&mut self) -> Result<Option<Tried>> {
        if let Some(place) = &self.place {
            let was_first = place.is_first();
            let is_its_turn = place.comes_first(self.schedule.gives_up_at()).await;
            if !is_its_turn && self.claim.attempts() > 0 {
                return Ok(None);
            }
            if !was_first && let Some(trouble) = place.trouble() {
                self.is_trouble = true;
                self.patience.share(trouble, self.schedule.started())?;
            }
        }
        let asked = Instant::now();
        let attempt = self.locker.attempt(self.claim, self.schedule);
        let answer = match self.is_trouble {
            true => attempt.await,
            // Once it is sent the next may follow.
            false => then_drop(attempt, &mut self.place).await,
        };
        Ok(Some(answer.map_err(|error| (error, asked))))
    }

    /// An attempt has failed: those of this process try one after the other, until one is answered.
    async fn bear(&mut self, error: Error, asked: Instant) -> Result<()> {
        let polling = &self.locker.polling;
        self.is_trouble = true;
        let place = self.place.get_or_insert_with(|| Box::new(polling.join(self.claim)));
        polling.bear(place, &mut self.patience, error, asked).await
    }

    /// An attempt was answered.
    fn answered(&mut self) {
        self.patience.rest();
        self.is_trouble = false;
        if let Some(place) = self.place.take() {
            place.asks();
            place.answered();
        }
    }

    /// Whether a lock that was handed on does not count yet.
    fn is_doubtful(&self) -> bool {
        let waiting = &self.locker.waiting;
        waiting.backend().proves_grants() || waiting.settling().is_some()
    }

    /// The end of a wait that Redis has answered, unless it is failing now.
    fn taken(&self) -> Result<Outcome> {
        let waiting = &self.locker.waiting;
        match waiting.settling().or_else(|| waiting.trouble()) {
            Some(error) => Err(error),
            None => Ok(Outcome::Taken),
        }
    }
}

/// Waits for `future` until `end`, if there is one. `None`: it came first.
fn within<F: Future>(end: Option<Instant>, future: F) -> impl Future<Output = Option<F::Output>> {
    match end {
        None => Either::Left(future.map(Some)),
        // Most have none, and need no room for a timer.
        Some(end) => Either::Right(Box::pin(timeout_at(end, future)).map(|answer| answer.ok())),
    }
}
