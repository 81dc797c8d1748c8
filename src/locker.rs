//! One call's life: try, wait in the queue, give up; release, extend, read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::Either;
use tokio::time::Instant;

use crate::backend::{Backend, Sharing, Text, Token, Waiter};
use crate::claim::{self, Attempt, Claim};
use crate::clock::Moment;
use crate::clock_watch::{ClockWatch, Step};
use crate::early::EarlyCallers;
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::hold::Hold;
use crate::holds::{End, Holds, Past, Renewal};
use crate::id;
use crate::lease::Grant;
use crate::notice::{self, Notice};
use crate::patience::{Patience, Trouble};
use crate::polling::Polling;
use crate::renewal;
use crate::schedule::Schedule;
use crate::task::Task;
use crate::waiting::Waiting;
use crate::waiting_acquire::WaitingAcquire;

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
    /// Keeps the lock alive, if wanted.
    pub renewal: Option<Renewal>,
    /// Whose lock it is, for [`Holds::of_group`].
    pub group: u64,
    /// With whom it would be held at the same time.
    pub sharing: Sharing,
    /// Take it from whoever has it, instead of waiting.
    pub steal: bool,
    /// Ask for nothing before messages reach this process: it is in the queue from its first step on, so
    /// whoever releases later hands the lock to it.
    pub lines_up: bool,
}

impl Acquire {
    /// A lock for one alone, which nobody renews.
    pub fn new(key: Text, owner: Text, ttl: Duration, schedule: Schedule) -> Self {
        let (renewal, sharing) = (None, Sharing::Exclusive);
        let (steal, lines_up) = (false, false);
        Acquire { key, owner, ttl, schedule, renewal, group: 0, sharing, steal, lines_up }
    }
}

/// A lock that was acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The proof of who holds it.
    pub id: Text,
    /// Larger than the tokens of all earlier holders; without a queue there are none.
    pub token: Option<Token>,
    /// How often the server was asked on this caller's behalf.
    pub attempts: u64,
    /// Time from the call to the grant.
    pub waited: Duration,
}

/// Locks in one store, for all callers of a process that use it.
#[derive(Debug)]
pub struct Locker<B: Backend> {
    pub(crate) waiting: Arc<Waiting<B>>,
    holds: Arc<Holds>,
    pub(crate) polling: Polling<B>,
    /// Whether the server was found to have no queue.
    pub(crate) polls: AtomicBool,
    pub(crate) gate: Gate,
    pub(crate) early: EarlyCallers,
    pub(crate) patience: Duration,
    clock: ClockWatch,
    waiting_task: OnceLock<Task>,
    renewal_task: OnceLock<Task>,
}

impl<B: Backend> Locker<B> {
    /// Locks in `backend`; a call fails when it had no answer for as long as `patience`.
    pub fn new(backend: B, patience: Duration) -> Self {
        let holds = Arc::<Holds>::default();
        let waiting = Arc::new(Waiting::new(backend, holds.clone(), patience));
        Locker {
            polling: Polling::new(waiting.clone(), patience),
            waiting,
            holds,
            polls: AtomicBool::new(false),
            gate: Gate::default(),
            early: EarlyCallers::default(),
            patience,
            clock: ClockWatch::default(),
            waiting_task: OnceLock::new(),
            renewal_task: OnceLock::new(),
        }
    }

    /// The locks that were acquired here.
    pub fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    /// Where the locks are.
    pub fn backend(&self) -> &B {
        self.waiting.backend()
    }

    /// Takes a lock, waiting for it as its schedule says. `None`: somebody else held it all
    /// that time.
    ///
    /// Dropping the future gives up: the place in the queue is left, and an attempt that is under
    /// way is undone in the background.
    pub fn acquire(
        &self,
        request: Acquire,
    ) -> impl Future<Output = Result<Option<Lock>>> + Send + use<'_, B> {
        match self.is_held_up(request.lines_up) {
            false => Either::Left(self.take(request)),
            true => Either::Right(Box::pin(self.take_in_turn(request))),
        }
    }

    /// [`acquire`](Self::acquire), past the gate.
    pub(crate) fn take(
        &self,
        request: Acquire,
    ) -> impl Future<Output = Result<Option<Lock>>> + Send + use<'_, B> {
        match request.sharing == Sharing::Exclusive || request.schedule.waits() {
            true => Either::Left(self.ask(request)),
            false => Either::Right(Box::pin(self.share_at_once(request))),
        }
    }

    /// [`acquire`](Self::acquire), whoever came before.
    pub(crate) fn ask(
        &self,
        request: Acquire,
    ) -> impl Future<Output = Result<Option<Lock>>> + Send + use<'_, B> {
        let Acquire { key, owner, ttl, schedule, renewal, group, sharing, steal, .. } = request;
        let id = id::unique(self.backend().process(), group);
        let waiter = Waiter { id, owner, ttl, sharing };
        let mut claim = Claim::new(self.waiting.clone(), key, waiter, schedule.waits());
        // Not an async function, which would keep what it was called with, and once more where it is used.
        async move {
            if steal {
                let grant = Box::pin(self.steal(&mut claim, &schedule)).await?;
                return Ok(Some(self.keep(claim, &schedule, grant, 1, renewal, group)));
            }

            // A key that is free and a server that answers are one question, without the state that
            // waiting takes; and who waits need not keep what the question took: for each lock under
            // way and each waiter there should be little.
            let mut first = None;
            let goes_alone = schedule.deadline().is_none()
                && !self.must_line_up(claim.key())
                && !self.may_overtake(&claim, &schedule);
            if goes_alone && !self.polls.load(Ordering::Relaxed) {
                first = match Box::pin(self.attempt(&mut claim, &schedule)).await {
                    Ok(Attempt::Held(grant)) => {
                        return Ok(Some(self.keep(claim, &schedule, grant, 1, renewal, group)));
                    }
                    Ok(Attempt::Taken) if !schedule.waits() => return Ok(None),
                    Ok(attempt) => Some(Box::new(Ok(attempt))),
                    Err(error) => Some(Box::new(Err((error, schedule.started())))),
                };
            }
            let waiter = WaitingAcquire::new(self, &mut claim, &schedule, first);
            let (grant, attempts) = Box::pin(waiter.wait()).await?;
            Ok(grant.map(|grant| self.keep(claim, &schedule, grant, attempts, renewal, group)))
        }
    }

    /// Frees a lock. `false`: `id` does not hold it (any more). When the store cannot be reached, it
    /// is tried in the background for as long as the lock may live.
    pub async fn release(&self, key: &Text, id: &Text) -> Result<bool> {
        Ok(self.let_go(key, id).await?.is_some())
    }

    /// [`release`](Self::release), and what is known of the lock that was released.
    pub async fn let_go(&self, key: &Text, id: &Text) -> Result<Option<Past>> {
        let hold = self.holds.of(key, id);
        hold.releasing();
        let late = hold.late();
        let released = self.release_patiently(key, id).await;
        let mut past = None;
        match &released {
            Ok(is_ours) => {
                if *is_ours {
                    past = Some(hold.released());
                    self.polling.call_first(key);
                } else {
                    hold.end(End::Taken);
                }
                claim::spawn_undo_late(&self.waiting, key, late);
            }
            Err(error) if error.is_transient() => {
                let ttl = hold.ttl().unwrap_or(self.patience);
                let lock = Waiter::only(id.clone(), ttl);
                claim::spawn_give_back(&self.waiting, key, lock, late);
            }
            Err(_) => hold.not_released(),
        }
        released.map(|_| past)
    }

    async fn release_patiently(&self, key: &Text, id: &Text) -> Result<bool> {
        let mut patience = Patience::new(self.patience);
        loop {
            let asked = Instant::now();
            match self.waiting.release(key, id).await {
                Ok(false) => match patience.trouble() {
                    // An earlier try had no answer; it may be the one that released.
                    Some(Trouble { error: error @ Error::Unknown(_), .. }) => {
                        return Err(error.clone());
                    }
                    _ => return Ok(false),
                },
                Ok(true) => return Ok(true),
                Err(error) => patience.bear(error, asked).await?,
            }
        }
    }

    /// Sets the ttl of a lock to `milliseconds` from now; zero or less [releases](Self::release) it. `false`:
    /// `id` does not hold it (any more).
    pub async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<bool> {
        // What the store is going to refuse changes nothing.
        let is_refused = milliseconds.fract() != 0.0 || milliseconds.abs() > i64::MAX as f64;
        if milliseconds <= 0.0 && !is_refused {
            return self.release(key, id).await;
        }
        let mut patience = Patience::new(self.patience);
        let ttl = Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default();
        let hold = self.holds.of(key, id);
        loop {
            let extending = if is_refused { None } else { hold.extending(ttl) };
            let asked = Instant::now();
            match self.waiting.extend(key, id, milliseconds, Moment::now()).await {
                Err(error) => {
                    let is_done = matches!(error, Error::NotReplicated { .. });
                    let outcome = patience.bear(error, asked).await;
                    let is_unknown = |trouble: &Trouble| matches!(trouble.error, Error::Unknown(_));
                    match extending {
                        Some(extending)
                            if is_done || patience.trouble().is_some_and(is_unknown) =>
                        {
                            hold.maybe_extended(&extending);
                        }
                        Some(extending) => hold.not_extended(extending),
                        None => {}
                    }
                    outcome?;
                }
                Ok(true) => {
                    let is_held = extending.is_none_or(|extending| hold.extended(&extending));
                    if !is_held {
                        // Its holder was told already that it is lost.
                        self.give_back(key.clone(), id.clone(), ttl);
                    }
                    return Ok(is_held);
                }
                Ok(false) => {
                    claim::spawn_undo_late(&self.waiting, key, hold.late());
                    hold.end(End::Taken);
                    return Ok(false);
                }
            }
        }
    }

    /// Releases, in the background, a lock that was granted to a caller who is gone.
    pub fn give_back(&self, key: Text, id: Text, ttl: Duration) {
        let late = self.holds.of(&key, &id).late();
        self.holds.end(&id, End::Released);
        claim::spawn_give_back(&self.waiting, &key, Waiter::only(id, ttl), late);
    }

    /// Tells `on_end`, once, how a lock ends.
    pub fn watch(&self, id: &Text, on_end: crate::holds::OnEnd) {
        self.look_after_holds();
        // Who takes it away says so in a message.
        if !self.polls.load(Ordering::Relaxed) {
            self.listen();
        }
        self.holds.watch(id, on_end, || self.waiting.subscription.missed_until());
    }

    /// The caller takes the lock it was granted.
    pub(crate) fn keep(
        &self,
        claim: Claim<B>,
        schedule: &Schedule,
        grant: Grant,
        attempts: u64,
        renewal: Option<Renewal>,
        group: u64,
    ) -> Lock {
        let Waiter { id, ttl, .. } = claim.waiter();
        let waited = schedule.elapsed();
        let granted = schedule.started() + waited;
        if attempts == 1 {
            self.look_at_times(&grant, *ttl, waited);
        }
        let mut hold = Hold::new(claim.key().clone(), &grant, granted, *ttl, group, renewal);
        hold.late = claim.late().map(Box::new);
        self.holds.add(id, hold);
        self.look_after_holds();
        Lock { id: claim.keep(), token: grant.token, attempts, waited }
    }

    /// A grant of the first attempt tells how far away the store is, and what its clock says. The
    /// attempt was sent at `grant.since`, and the call began not later.
    fn look_at_times(&self, grant: &Grant, ttl: Duration, waited: Duration) {
        if let Some(token) = grant.token
            && let Some(Step { by, forward }) = self.clock.read(grant.since, waited, token)
        {
            notice::tell(Notice::ClockStep { by, forward });
        }
        if waited > ttl / 2 {
            let took = Moment::now() - grant.since;
            if took > ttl / 2 {
                notice::tell(Notice::ShortTtl { ttl, took });
            }
        }
    }

    fn look_after_holds(&self) {
        let run = || renewal::run(self.holds.clone(), self.waiting.clone());
        self.renewal_task.get_or_init(|| Task::start(run()));
    }

    /// Sees to it that messages reach us.
    pub(crate) fn listen(&self) {
        self.look_after_waiters();
        self.waiting.listen();
    }

    /// Whether messages reach us, or will in a moment.
    pub(crate) async fn subscribed(&self) -> bool {
        self.look_after_waiters();
        self.waiting.subscribed().await
    }

    fn look_after_waiters(&self) {
        self.waiting_task.get_or_init(|| Task::start(self.waiting.clone().run()));
    }

    /// Asks once, for a place in the queue if the call waits and messages reach us.
    pub(crate) async fn attempt(
        &self,
        claim: &mut Claim<B>,
        schedule: &Schedule,
    ) -> Result<Attempt> {
        let wait = schedule.waits() && self.waiting.is_subscribed();
        let sharing = claim.waiter().sharing;
        claim.watch_out((schedule.waits() && !wait).then(|| self.early.begin(sharing)));
        let attempt = claim.attempt(wait).await?;
        let is_polling = matches!(attempt, Attempt::NoQueue);
        if self.polls.load(Ordering::Relaxed) != is_polling {
            self.polls.store(is_polling, Ordering::Relaxed);
        }
        Ok(attempt)
    }
}
