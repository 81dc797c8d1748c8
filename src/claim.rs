//! The attempts of one acquire call, and what is owed when nobody takes their result.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backend::{Acquired, Backend, Text, View, Waiter};
use crate::clock::Moment;
use crate::early::Early;
use crate::error::{Error, Result};
use crate::id;
use crate::lease::Grant;
use crate::notice::{self, Notice};
use crate::waiting::Waiting;

/// Pauses between two tries to undo grow by this factor: a lost attempt can reach the server
/// late, so one look is not enough, and looking seven times in 30 s is.
const UNDO_GROWTH: u32 = 3;
const FIRST_UNDO_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause while there is no answer at all: a server that is back is told soon.
const LONGEST_UNDO_PAUSE: Duration = Duration::from_secs(1);

/// While the store settles the clock is looked at this often: a timer does not count the time that
/// the machine slept.
const LOOK: Duration = Duration::from_secs(1);

/// Tries to take one key under one id, which makes every repetition safe: an attempt that was
/// carried out although its answer was lost is found again by the next one.
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
    /// Whether it waits while the store [settles](Backend::settles_until).
    is_patient: bool,
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
    /// We are in the queue since an attempt that was sent then.
    Waits(View, Moment),
    /// Somebody else has it, and this server has no queue.
    NoQueue,
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

impl<B: Backend> Claim<B> {
    /// A claim under a new id; `is_patient`: for a caller who waits.
    pub fn new(
        waiting: Arc<Waiting<B>>,
        key: Text,
        owner: Text,
        ttl: Duration,
        is_patient: bool,
    ) -> Self {
        let waiter = Waiter { id: id::unique(), owner, ttl };
        let order = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = State::Nothing;
        Claim { waiting, key, waiter, state, attempts: 0, order, early: None, is_patient }
    }

    /// Asks once; with `wait`, for a place in the queue. While the store settles nothing is asked and
    /// nothing that was granted is told: somebody may hold the lock of whom the store does not know.
    pub async fn attempt(&mut self, wait: bool) -> Result<Attempt> {
        loop {
            self.settled().await?;
            let attempt = self.ask(wait).await?;
            if !matches!(attempt, Attempt::Held(_)) || self.waiting.settling().is_none() {
                return Ok(attempt);
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

    async fn ask(&mut self, wait: bool) -> Result<Attempt> {
        let before = self.state;
        let sent = Moment::now();
        if before == State::Nothing {
            self.state = State::Pending;
        }
        let answer = self.waiting.acquire(&self.key, &self.waiter, wait, sent).await;
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
                    return Ok(Attempt::Taken);
                }
                Ok(Attempt::Held(grant))
            }
            Ok(Acquired::Waits(view)) if wait => Ok(Attempt::Waits(view, sent)),
            Ok(answer) => {
                self.state = before;
                match answer {
                    Acquired::NoQueue => Ok(Attempt::NoQueue),
                    _ => Ok(Attempt::Taken),
                }
            }
            Err(error) => {
                self.state = match error {
                    Error::Unknown(_) => State::Lost,
                    Error::NotReplicated { .. } if before == State::Nothing => State::Pending,
                    _ => before,
                };
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

    /// The caller takes the lock: nothing is to be undone.
    pub fn keep(mut self) -> Text {
        self.state = State::Nothing;
        self.waiter.id.clone()
    }

    fn give_back(&mut self) {
        let lost = self.state == State::Lost;
        self.state = State::Nothing;
        // A later attempt must not be undone with this one.
        let next = Waiter { id: id::unique(), ..self.waiter.clone() };
        let waiter = std::mem::replace(&mut self.waiter, next);
        spawn_undo(self.waiting.clone(), self.key.clone(), waiter, lost);
    }
}

impl<B: Backend> Drop for Claim<B> {
    fn drop(&mut self) {
        if self.is_open() {
            self.give_back();
        }
    }
}

/// Leaves the queue before `key`, and releases it if it was granted, in the background until that
/// is confirmed or the ttl is over.
///
/// `lost`: an attempt was never answered, so it may still be carried out after a step that found
/// nothing.
pub fn spawn_undo<B: Backend>(waiting: Arc<Waiting<B>>, key: Text, waiter: Waiter, lost: bool) {
    // Without a runtime the process is ending, and the ttl ends the lock.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(undo(waiting, key, waiter, lost));
    }
}

async fn undo<B: Backend>(waiting: Arc<Waiting<B>>, key: Text, waiter: Waiter, mut lost: bool) {
    let started = Instant::now();
    let mut found_nothing = FIRST_UNDO_PAUSE;
    let mut failed = FIRST_UNDO_PAUSE;
    loop {
        let pause = match waiting.abandon(&key, &waiter).await {
            Ok(true) => return,
            Ok(false) if !lost => return,
            Ok(false) => &mut found_nothing,
            Err(_) => {
                // The connection that carried the attempt may be gone with it.
                lost = true;
                &mut failed
            }
        };
        if started.elapsed() >= waiter.ttl {
            return;
        }
        sleep(*pause).await;
        *pause = pause.saturating_mul(UNDO_GROWTH).min(waiter.ttl);
        failed = failed.min(LONGEST_UNDO_PAUSE);
    }
}
