//! One call's life: try, wait, give up; release, extend, read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::backend::{Backend, Holder, Text};
use crate::claim::{self, Claim};
use crate::error::{Cause, Error, Result};
use crate::line::{Lines, Place};
use crate::patience::{Patience, Trouble};
use crate::schedule::Schedule;

/// What an acquire asks for.
#[derive(Debug, Clone)]
pub struct Acquire {
    /// The key in the store, prefixes included.
    pub key: Text,
    /// Free text that says who holds the lock.
    pub owner: Text,
    /// How long the lock lives unless it is released or extended.
    pub ttl: Duration,
    /// When to try again and when to stop.
    pub schedule: Schedule,
}

/// A lock that was acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The proof of who holds it.
    pub id: Text,
    /// How often the server was asked on this caller's behalf.
    pub attempts: u64,
    /// Time from the call to the grant.
    pub waited: Duration,
}

/// Locks in one store, for all callers of a process that use it.
#[derive(Debug)]
pub struct Locker<B: Backend> {
    backend: Arc<B>,
    lines: Lines,
    patience: Duration,
}

impl<B: Backend> Locker<B> {
    /// Locks in `backend`; a call fails when it had no answer for as long as `patience`.
    pub fn new(backend: B, patience: Duration) -> Self {
        Locker { backend: Arc::new(backend), lines: Lines::default(), patience }
    }

    /// Where the locks are.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Takes a lock, waiting for it as its schedule says. `None`: somebody else held it all
    /// that time.
    ///
    /// Dropping the future gives up: the place in line is left, and an attempt that is under
    /// way is undone in the background.
    pub async fn acquire(&self, request: Acquire) -> Result<Option<Lock>> {
        let Acquire { key, owner, ttl, mut schedule } = request;
        let place = self.lines.join(&key);
        let mut claim = Claim::new(self.backend.clone(), key, owner, ttl);

        // A key that is free and a server that answers are one question, without the state that
        // waiting takes: what is kept for each lock under way should be small.
        let mut trouble = None;
        if place.is_first() && schedule.deadline().is_none() {
            let asked = Instant::now();
            match self.ask(&place, &mut claim).await {
                Ok(true) => {
                    let waited = schedule.elapsed();
                    return Ok(Some(Lock { id: claim.keep(), attempts: 1, waited }));
                }
                Ok(false) if schedule.tried() => return Ok(None),
                Ok(false) => {}
                Err(error) => trouble = Some((error, asked)),
            }
        }
        let wait = self.try_for_long(schedule.clone(), &place, &mut claim, trouble);
        if !Box::pin(wait).await? {
            return Ok(None);
        }
        let attempts = place.answers().max(1);
        Ok(Some(Lock { id: claim.keep(), attempts, waited: schedule.elapsed() }))
    }

    /// Frees a lock. `false`: `id` does not hold it (any more).
    pub async fn release(&self, key: &Text, id: &Text) -> Result<bool> {
        let mut patience = Patience::new(self.patience);
        loop {
            let asked = Instant::now();
            match self.backend.release(key, id).await {
                Ok(false) => match patience.trouble() {
                    // An earlier try had no answer; it may be the one that released.
                    Some(Trouble { error: error @ Error::Unknown(_), .. }) => {
                        return Err(error.clone());
                    }
                    _ => return Ok(false),
                },
                Ok(true) => {
                    self.lines.call_first(key);
                    return Ok(true);
                }
                Err(error) => patience.bear(error, asked).await?,
            }
        }
    }

    /// Sets the ttl of a lock to `milliseconds` from now; zero or less ends it. `false`: `id`
    /// does not hold it (any more).
    pub async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<bool> {
        let mut patience = Patience::new(self.patience);
        loop {
            let asked = Instant::now();
            match self.backend.extend(key, id, milliseconds).await {
                Err(error) => patience.bear(error, asked).await?,
                answer => return answer,
            }
        }
    }

    /// Who holds `key` now. `None`: nobody.
    pub async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        let mut patience = Patience::new(self.patience);
        loop {
            let asked = Instant::now();
            match self.backend.read(key).await {
                Err(error) => patience.bear(error, asked).await?,
                answer => return answer,
            }
        }
    }

    /// Releases, in the background, a lock that was granted to a caller who is gone.
    pub fn give_back(&self, key: Text, id: Text, ttl: Duration) {
        claim::spawn_undo(self.backend.clone(), key, id, ttl, false);
    }

    /// Asks once, for everybody in the line.
    async fn ask(&self, place: &Place, claim: &mut Claim<B>) -> Result<bool> {
        place.asks();
        let granted = claim.attempt().await?;
        place.answered();
        Ok(granted)
    }

    /// Tries as the schedule says and ends at its deadline; `trouble` is what the first try met.
    /// `false`: the lock stayed taken.
    async fn try_for_long(
        &self,
        schedule: Schedule,
        place: &Place,
        claim: &mut Claim<B>,
        trouble: Option<(Error, Instant)>,
    ) -> Result<bool> {
        let mut patience = Patience::new(self.patience);
        if let Some((error, asked)) = trouble {
            self.bear(place, &mut patience, error, asked).await?;
        }
        let wait = self.wait(schedule.clone(), place, claim, &mut patience);
        let outcome = match schedule.deadline() {
            None => Ok(wait.await),
            Some(deadline) => timeout_at(deadline, wait).await,
        };
        match outcome {
            Ok(granted) => granted,
            Err(_) => self.out_of_time(&schedule, place, claim, &patience).await,
        }
    }

    /// [`Patience::bear`], and those who wait behind know why.
    async fn bear(
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

    /// Tries until the lock is ours (`true`) or the schedule is through (`false`).
    async fn wait(
        &self,
        mut schedule: Schedule,
        place: &Place,
        claim: &mut Claim<B>,
        patience: &mut Patience,
    ) -> Result<bool> {
        if !place.is_first() {
            if schedule.deadline().is_some() {
                // Its first try, which the first of the line makes for it.
                place.call_first();
            }
            if !place.comes_first(schedule.last_try()).await && !self.last_chance(place).await? {
                return Ok(false);
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
            if granted {
                return Ok(true);
            }
            // A try between two of the schedule is a gift and does not use one up.
            if !called && schedule.tried() {
                return Ok(false);
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
    async fn out_of_time(
        &self,
        schedule: &Schedule,
        place: &Place,
        claim: &Claim<B>,
        patience: &Patience,
    ) -> Result<bool> {
        if let Some(trouble) = patience.trouble() {
            return Err(trouble.error.clone());
        }
        if let Some(trouble) = place.trouble() {
            return Err(trouble.into_error_of_another());
        }
        if place.answers() > 0 {
            return Ok(false);
        }
        // A store in this process answers at once, however little time there was.
        if !claim.is_open()
            && let Ok(Ok(_)) = timeout(Duration::ZERO, self.backend.read(claim.key())).await
        {
            return Ok(false);
        }
        let cause = Cause::timeout("no answer", schedule.elapsed());
        Err(match claim.is_open() && self.backend.is_connected() {
            true => Error::Unknown(cause),
            false => Error::Unreachable(cause),
        })
    }
}
