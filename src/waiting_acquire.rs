//! An acquire that has to wait: in the queue of the store, or by polling where there is none.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::backend::{Backend, View};
use crate::claim::{Attempt, Claim};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Grant;
use crate::line::Place;
use crate::locker::Locker;
use crate::patience::Patience;
use crate::polling::Polled;
use crate::schedule::Schedule;
use crate::waiters::News;

/// What came of an attempt; an error with when it was made.
pub type Tried = std::result::Result<Attempt, (Error, Instant)>;

/// An acquire that has to wait.
pub struct WaitingAcquire<'a, B: Backend> {
    locker: &'a Locker<B>,
    claim: &'a mut Claim<B>,
    schedule: &'a Schedule,
    patience: Patience,
    /// While there is trouble, or no place in the queue yet, those of this process ask in order.
    place: Option<Place>,
    /// The last attempt has failed.
    is_trouble: bool,
}

/// How waiting in the queue ended.
enum Outcome {
    Granted(Grant),
    Taken,
    NoQueue,
}

impl<'a, B: Backend> WaitingAcquire<'a, B> {
    /// Waits for what `claim` claims, as `schedule` says.
    pub fn new(locker: &'a Locker<B>, claim: &'a mut Claim<B>, schedule: &'a Schedule) -> Self {
        let patience = Patience::new(locker.patience);
        WaitingAcquire { locker, claim, schedule, patience, place: None, is_trouble: false }
    }

    /// Waits as the schedule says and ends at its deadline; `first` is what came of the first
    /// attempt, if it was made. The answer comes with how often the server was asked.
    pub async fn wait(mut self, mut first: Option<Tried>) -> Result<(Option<Grant>, u64)> {
        let polls = self.locker.polls.load(Ordering::Relaxed);
        let mut has_queue = first.is_some() || !polls;
        loop {
            if has_queue {
                let deadline = self.schedule.deadline();
                let queue = self.queue(first.take());
                let outcome = match deadline {
                    None => Ok(queue.await),
                    Some(deadline) => timeout_at(deadline, queue).await,
                };
                match outcome {
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(Outcome::Granted(grant))) => {
                        return Ok((Some(grant), self.claim.attempts().max(1)));
                    }
                    Ok(Ok(Outcome::Taken)) => return Ok((None, 0)),
                    Ok(Ok(Outcome::NoQueue)) => {}
                    Err(_) => return self.out_of_time().await.map(|()| (None, 0)),
                }
            }
            match self.locker.polling.acquire(self.claim, self.schedule).await? {
                Polled::Granted(grant, attempts) => return Ok((Some(grant), attempts)),
                Polled::Taken => return Ok((None, 0)),
                Polled::Queued(attempt) => first = Some(Ok(attempt)),
            }
            has_queue = true;
        }
    }

    /// Waits in the queue of the store.
    async fn queue(&mut self, mut first: Option<Tried>) -> Result<Outcome> {
        if first.is_none() && self.locker.may_overtake(self.claim, self.schedule) {
            self.place = Some(self.locker.polling.join(self.claim));
            self.until_it_gives_up(self.locker.subscribed()).await;
            self.until_it_gives_up(self.locker.early.none()).await;
        } else if first.is_none() && self.locker.must_line_up(self.claim.key()) {
            self.place = Some(self.locker.polling.join(self.claim));
            // They are answered in a moment, and then stand in line before this one.
            self.until_it_gives_up(self.locker.early.none()).await;
        }
        loop {
            let tried = match first.take() {
                Some(first) => first,
                None => match self.try_in_turn().await? {
                    Some(tried) => tried,
                    None => return self.taken(),
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
            match attempt {
                Attempt::Held(grant) => return Ok(Outcome::Granted(grant)),
                Attempt::NoQueue if self.schedule.waits() => return Ok(Outcome::NoQueue),
                Attempt::NoQueue => return Ok(Outcome::Taken),
                Attempt::Taken if !self.schedule.waits() => return Ok(Outcome::Taken),
                Attempt::Taken => {
                    self.place = Some(self.locker.polling.join(self.claim));
                    match self.until_it_gives_up(self.locker.subscribed()).await {
                        None => return self.taken(),
                        Some(true) => {}
                        // For the time being, at least.
                        Some(false) => {
                            self.place = None;
                            return Ok(Outcome::NoQueue);
                        }
                    }
                }
                Attempt::Waits(view, joined) => match self.news(&view, joined).await {
                    None => return self.taken(),
                    // Too little left to start with, or no proof: ask, which renews it if it is
                    // still ours.
                    Some(News::Granted(grant)) if grant.is_stale() || self.is_doubtful() => {}
                    Some(News::Granted(grant)) => return Ok(Outcome::Granted(grant)),
                    Some(News::Again) => {}
                    Some(News::NoQueue) => return Ok(Outcome::NoQueue),
                    Some(News::Failed(error)) => return Err(error),
                },
            }
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
        let place = self.place.get_or_insert_with(|| polling.join(self.claim));
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

    /// Waits for what concerns this caller, which is in the queue since `joined`. `None`: its time is
    /// over.
    async fn news(&self, view: &View, joined: Moment) -> Option<News> {
        let (key, waiter) = (self.claim.key(), self.claim.waiter());
        let delay = self.schedule.retry_delay();
        let mut place = self.locker.waiting.wait(key, waiter, view, joined, delay);
        self.until_it_gives_up(place.news()).await
    }

    async fn until_it_gives_up<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        match self.schedule.gives_up_at() {
            None => Some(wait.await),
            Some(end) => timeout_at(end, wait).await.ok(),
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

    /// What a caller may be told at its deadline: "taken" only if Redis said so.
    async fn out_of_time(&self) -> Result<()> {
        if let Some(trouble) = self.patience.trouble() {
            return Err(trouble.error.clone());
        }
        let waiting = &self.locker.waiting;
        if let Some(error) = waiting.settling() {
            return Err(error);
        }
        if self.claim.attempts() > 0 {
            return Ok(());
        }
        // A store in this process answers at once, however little time there was.
        if !self.claim.is_open()
            && let Ok(Ok(_)) =
                timeout(Duration::ZERO, waiting.backend().read(self.claim.key())).await
        {
            return Ok(());
        }
        Err(waiting.silence(self.claim.is_open(), self.schedule.elapsed()))
    }
}

/// Carries out `future`, and drops what is in `place` once that has begun.
async fn then_drop<F: Future>(future: F, place: &mut Option<Place>) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        place.take();
        polled
    })
    .await
}
