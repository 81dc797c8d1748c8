//! The attempts of one acquire call, and what is owed when nobody takes their result.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::backend::{Acquired, AcquiredAll, Backend, Text, Ticket, View, Waiter};
use crate::clock::Moment;
use crate::early::Early;
use crate::error::{Error, Result};
use crate::id;
use crate::lease::Grant;
use crate::notice::{self, Notice};
use crate::tie::Tie;
use crate::undo::Undo;
use crate::waiting::Waiting;

/// While the store settles the clock is looked at this often: a timer does not count the time that
/// the machine slept.
const LOOK: Duration = Duration::from_secs(1);

/// Tries to take one key under one id, which makes every repetition safe: an attempt that was
/// carried out although its answer was lost is found again by the next one. Where the store undoes
/// an attempt itself, each has an id of its own.
///
/// Dropping a claim that may hold the lock, or a place in the queue, gives it back, so whoever
/// stops waiting (a deadline, an abort, a thread that ends) locks nobody out.
#[derive(Debug)]
pub struct Claim<B: Backend> {
    waiting: Arc<Waiting<B>>,
    key: Text,
    waiter: Waiter,
    state: State,
    attempts: u64,
    order: u64,
    early: Option<Early>,
    /// Whether an attempt asked for a place in the queue.
    has_queued: bool,
    /// Whether it waits while the store [settles](Backend::settles_until).
    is_patient: bool,
    /// The last attempt has been undone unless it was granted, or will be.
    is_undone: bool,
}

/// Tells in which order the acquires of this process began.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The key is ours.
    Held(Grant),
    /// Somebody else has it, or the answer came when too little was left.
    Taken,
    /// We are in the queue, with this ticket, since an attempt that was sent then.
    Waits(View, Ticket, Moment),
    /// Somebody else has it, and this server has no queue.
    NoQueue,
}

impl Attempt {
    /// Whether it says who has the lock now, rather than that it is waited for.
    fn is_final(&self) -> bool {
        !matches!(self, Attempt::Waits(..))
    }
}

/// What came of an attempt to take several.
#[derive(Debug)]
pub enum Attempts {
    /// All are ours.
    Held(Grant),
    /// Somebody else has the one with this number.
    Taken(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No attempt was made, or every attempt was answered and refused.
    Nothing,
    /// An attempt is under way or was granted, or waits in the queue.
    Pending,
    /// An attempt was sent and its answer never came; it may still be carried out.
    Lost,
}

impl State {
    /// What this becomes by an attempt that failed with `error`.
    fn after(self, error: &Error) -> Self {
        match error {
            Error::Unknown(_) => State::Lost,
            // It was granted all the same.
            Error::NotReplicated { .. } if self == State::Nothing => State::Pending,
            _ => self,
        }
    }
}

impl<B: Backend> Claim<B> {
    /// A claim of `waiter`, whose id must be new; `is_patient`: for a caller who waits.
    pub fn new(waiting: Arc<Waiting<B>>, key: Text, waiter: Waiter, is_patient: bool) -> Self {
        let order = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = State::Nothing;
        let is_undone = false;
        Claim {
            waiting,
            key,
            waiter,
            state,
            attempts: 0,
            order,
            early: None,
            has_queued: false,
            is_patient,
            is_undone,
        }
    }

    /// Asks once, or in a tie a few times; with `wait`, for a place in the queue. While the store settles
    /// nothing is asked, and no answer is told: somebody may hold the lock of whom the store does not know,
    /// and whom it names may be one who was not told either.
    pub async fn attempt(&mut self, wait: bool) -> Result<Attempt> {
        let mut tie = Tie::default();
        loop {
            self.settled().await?;
            let sent = Moment::now();
            match self.ask(wait, sent).await? {
                Some(attempt) if attempt.is_final() && self.waiting.settling().is_some() => {}
                Some(attempt) => return Ok(attempt),
                None => match tie.pause(Moment::now() - sent) {
                    Some(pause) => sleep(pause).await,
                    None => return Ok(Attempt::NoQueue),
                },
            }
        }
    }

    async fn settled(&self) -> Result<()> {
        while let Some(until) = self.waiting.backend().settles_until() {
            match self.waiting.settling() {
                Some(error) if !self.is_patient => return Err(error),
                _ => sleep(until.left().min(LOOK)).await,
            }
        }
        Ok(())
    }

    /// Asks once. `None`: there was a tie.
    async fn ask(&mut self, wait: bool, sent: Moment) -> Result<Option<Attempt>> {
        if self.is_undone {
            self.renew_id();
        }
        self.is_undone = self.waiting.backend().undoes_attempts();
        self.has_queued |= wait;
        let before = self.state;
        if before == State::Nothing {
            self.state = State::Pending;
        }
        let answer = self.waiting.acquire(&self.key, &self.waiter, wait, sent).await;
        self.answered(answer, before, sent)
    }

    /// Asks once for all of `claims` or none, as [`attempt`](Self::attempt) does for one.
    pub async fn attempt_all(claims: &mut [Self]) -> Result<Attempts> {
        loop {
            let Some(first) = claims.first() else { return Ok(Attempts::Taken(0)) };
            first.settled().await?;
            let waiting = first.waiting.clone();
            let attempts = Self::ask_for_all(claims, &waiting).await?;
            if waiting.settling().is_none() {
                return Ok(attempts);
            }
        }
    }

    async fn ask_for_all(claims: &mut [Self], waiting: &Waiting<B>) -> Result<Attempts> {
        let wanted: Vec<_> =
            claims.iter().map(|claim| (claim.key.clone(), claim.waiter.clone())).collect();
        let before: Vec<State> = claims.iter().map(|claim| claim.state).collect();
        for claim in claims.iter_mut().filter(|claim| claim.state == State::Nothing) {
            claim.state = State::Pending;
        }
        let sent = Moment::now();
        let answer = waiting.backend().acquire_all(&wanted).await;
        if answer.is_ok() {
            claims.iter_mut().for_each(|claim| claim.attempts += 1);
        }
        if let Ok(AcquiredAll::Held(token)) = answer {
            let ttl = wanted.iter().map(|(_, waiter)| waiter.ttl).min().unwrap_or_default();
            let grant = Grant { token: Some(token), since: sent, ttl };
            if !grant.valid_until().is_over() {
                return Ok(Attempts::Held(grant));
            }
            notice::tell(Notice::ShortTtl { ttl, took: Moment::now() - sent });
            claims.iter_mut().for_each(Claim::give_back);
            return Ok(Attempts::Taken(0));
        }
        for (claim, before) in claims.iter_mut().zip(before) {
            claim.state = match &answer {
                Ok(_) => before,
                Err(error) => before.after(error),
            };
        }
        match answer? {
            AcquiredAll::Taken(number) => Ok(Attempts::Taken(number)),
            AcquiredAll::Held(_) => Ok(Attempts::Taken(0)),
        }
    }

    /// Asks once to be given the lock, whoever has it; as [`attempt`](Self::attempt) while the store
    /// settles.
    pub async fn steal(&mut self) -> Result<Attempt> {
        loop {
            self.settled().await?;
            let before = self.state;
            let sent = Moment::now();
            if before == State::Nothing {
                self.state = State::Pending;
            }
            let answer = self.waiting.backend().steal(&self.key, &self.waiter).await;
            let attempt = self.answered(answer, before, sent)?;
            if self.waiting.settling().is_none() {
                return Ok(attempt.unwrap_or(Attempt::Taken));
            }
        }
    }

    fn answered(
        &mut self,
        answer: Result<Acquired>,
        before: State,
        sent: Moment,
    ) -> Result<Option<Attempt>> {
        if answer.is_ok() {
            self.attempts += 1;
        }
        match answer {
            Ok(Acquired::Held(token)) => {
                let grant = Grant { token, since: sent, ttl: self.waiter.ttl };
                if grant.valid_until().is_over() {
                    let took = Moment::now() - sent;
                    notice::tell(Notice::ShortTtl { ttl: self.waiter.ttl, took });
                    self.give_back();
                    return Ok(Some(Attempt::Taken));
                }
                // It may have to wait for others, which must hold up nobody.
                self.early = None;
                Ok(Some(Attempt::Held(grant)))
            }
            Ok(Acquired::Waits(view, Some(ticket))) => Ok(Some(Attempt::Waits(view, ticket, sent))),
            Ok(answer) => {
                self.state = before;
                Ok(match answer {
                    Acquired::Tie => None,
                    Acquired::NoQueue => Some(Attempt::NoQueue),
                    _ => Some(Attempt::Taken),
                })
            }
            Err(error) => {
                self.state = if self.is_undone { before } else { before.after(&error) };
                Err(error)
            }
        }
    }

    /// The key that is claimed.
    pub fn key(&self) -> &Text {
        &self.key
    }

    /// Who claims it.
    pub fn waiter(&self) -> &Waiter {
        &self.waiter
    }

    /// The later an acquire of this process began, the larger.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// Makes that others look out for this caller, or that they do so no more.
    pub fn watch_out(&mut self, early: Option<Early>) {
        self.early = early;
    }

    /// How often the server has answered.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Whether an attempt may have reached the server without an answer, or waits there.
    pub fn is_open(&self) -> bool {
        self.state != State::Nothing
    }

    /// Who claims it, if an attempt of that id may still be carried out, after the lock was released even.
    pub fn late(&self) -> Option<Waiter> {
        (self.state == State::Lost).then(|| self.waiter.clone())
    }

    /// The caller takes the lock, which is among those held here: nothing is to be undone.
    pub fn keep(mut self) -> Text {
        self.state = State::Nothing;
        self.waiter.id.clone()
    }

    /// Frees what it may hold, in the background, and goes on under another id.
    pub fn give_back(&mut self) {
        let lost = self.state == State::Lost;
        self.state = State::Nothing;
        // A later attempt must not be undone with this one.
        let waiter = self.renew_id();
        spawn_undo(self.waiting.clone(), self.key.clone(), waiter, lost);
    }

    /// Goes on under another id. Returns who it was.
    fn renew_id(&mut self) -> Waiter {
        self.is_undone = false;
        let next = Waiter { id: id::another(&self.waiter.id), ..self.waiter.clone() };
        std::mem::replace(&mut self.waiter, next)
    }
}

impl<B: Backend> Drop for Claim<B> {
    fn drop(&mut self) {
        if self.is_open() {
            self.give_back();
        } else if self.has_queued {
            self.waiting.forget(&self.waiter.id);
        }
    }
}

/// Leaves the queue before `key`, and releases it if it was granted, in the background until that
/// is confirmed or the ttl is over.
///
/// `lost`: an attempt was never answered, so it may still be carried out after a step that found
/// nothing, or another attempt.
pub fn spawn_undo<B: Backend>(waiting: Arc<Waiting<B>>, key: Text, waiter: Waiter, lost: bool) {
    // Without a runtime the process is ending, and the ttl ends the lock.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let mut undo = Undo::new(waiter.ttl, lost);
            while undo.goes_on(waiting.abandon(&key, &waiter).await).await {}
            waiting.forget(&waiter.id);
        });
    }
}

/// Releases a lock that nobody believes in, in the background, and undoes the attempt for it that is
/// [late](Claim::late).
pub fn spawn_give_back<B: Backend>(
    waiting: &Arc<Waiting<B>>,
    key: &Text,
    lock: Waiter,
    late: Option<Waiter>,
) {
    spawn_undo(waiting.clone(), key.clone(), lock, false);
    spawn_undo_late(waiting, key, late);
}

/// Undoes an attempt that is [late](Claim::late), in the background: it may take the lock once more,
/// or a place in the queue.
pub fn spawn_undo_late<B: Backend>(waiting: &Arc<Waiting<B>>, key: &Text, late: Option<Waiter>) {
    if let Some(waiter) = late {
        spawn_undo(waiting.clone(), key.clone(), waiter, true);
    }
}
