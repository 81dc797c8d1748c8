//! The attempts of one acquire call, and what is owed when nobody takes their result.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backend::{Backend, Text};
use crate::error::{Error, Result};
use crate::id;

/// The share of the ttl by which two clocks may drift apart while a lock is held (1 %), as in
/// the Redlock description, and two milliseconds for the granularity of Redis's expiry.
const DRIFT: f64 = 0.01;
const GRANULARITY: Duration = Duration::from_millis(2);

/// Pauses between two tries to undo grow by this factor: a lost attempt can reach the server
/// late, so one look is not enough, and looking seven times in 30 s is.
const UNDO_GROWTH: u32 = 3;
const FIRST_UNDO_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause while there is no answer at all: a server that is back is told soon.
const LONGEST_UNDO_PAUSE: Duration = Duration::from_secs(1);

/// Tries to take one key under one id, which makes every repetition safe: an attempt that was
/// carried out although its answer was lost is found again by the next one.
///
/// Dropping a claim that may hold the lock gives it back, so whoever stops waiting (a
/// deadline, an abort, a thread that ends) locks nobody out.
#[derive(Debug)]
pub struct Claim<B: Backend> {
    backend: Arc<B>,
    key: Text,
    id: Text,
    owner: Text,
    ttl: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No attempt was made, or every attempt was answered and refused.
    Nothing,
    /// An attempt is under way or was granted.
    Pending,
    /// An attempt was sent and its answer never came; it may still be carried out.
    Lost,
}

impl<B: Backend> Claim<B> {
    /// A claim under a new id.
    pub fn new(backend: Arc<B>, key: Text, owner: Text, ttl: Duration) -> Self {
        Claim { backend, key, id: id::unique(), owner, ttl, state: State::Nothing }
    }

    /// Asks once. `true`: the key is ours for the ttl, counted from before the question was
    /// sent. `false`: somebody else has it, or the answer came when too little was left.
    pub async fn attempt(&mut self) -> Result<bool> {
        let before = self.state;
        let sent = Instant::now();
        if before == State::Nothing {
            self.state = State::Pending;
        }
        let answer = self.backend.acquire(&self.key, &self.id, &self.owner, self.ttl).await;
        match &answer {
            Ok(true) => {
                if sent.elapsed() >= lease(self.ttl) {
                    self.give_back();
                    return Ok(false);
                }
            }
            Err(Error::Unknown(_)) => self.state = State::Lost,
            Ok(false) | Err(_) => self.state = before,
        }
        answer
    }

    /// The key that is claimed.
    pub fn key(&self) -> &Text {
        &self.key
    }

    /// Whether an attempt may have reached the server without an answer.
    pub fn is_open(&self) -> bool {
        self.state != State::Nothing
    }

    /// The caller takes the lock: nothing is to be undone.
    pub fn keep(mut self) -> Text {
        self.state = State::Nothing;
        self.id.clone()
    }

    fn give_back(&mut self) {
        let lost = self.state == State::Lost;
        self.state = State::Nothing;
        // A later attempt must not be undone with this one.
        let id = std::mem::replace(&mut self.id, id::unique());
        spawn_undo(self.backend.clone(), self.key.clone(), id, self.ttl, lost);
    }
}

impl<B: Backend> Drop for Claim<B> {
    fn drop(&mut self) {
        if self.is_open() {
            self.give_back();
        }
    }
}

/// What a holder may believe: the ttl less the margin for clocks that run differently.
pub fn lease(ttl: Duration) -> Duration {
    ttl.saturating_sub(ttl.mul_f64(DRIFT) + GRANULARITY)
}

/// Releases `key` under `id` in the background until that is confirmed or the ttl is over.
///
/// `lost`: an attempt was never answered, so it may still be carried out after a release that
/// found nothing.
pub fn spawn_undo<B: Backend>(backend: Arc<B>, key: Text, id: Text, ttl: Duration, lost: bool) {
    // Without a runtime the process is ending, and the ttl ends the lock.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(undo(backend, key, id, ttl, lost));
    }
}

async fn undo<B: Backend>(backend: Arc<B>, key: Text, id: Text, ttl: Duration, mut lost: bool) {
    let started = Instant::now();
    let mut found_nothing = FIRST_UNDO_PAUSE;
    let mut failed = FIRST_UNDO_PAUSE;
    loop {
        let pause = match backend.release(&key, &id).await {
            Ok(true) => return,
            Ok(false) if !lost => return,
            Ok(false) => &mut found_nothing,
            Err(_) => {
                // The connection that carried the attempt may be gone with it.
                lost = true;
                &mut failed
            }
        };
        if started.elapsed() >= ttl {
            return;
        }
        sleep(*pause).await;
        *pause = pause.saturating_mul(UNDO_GROWTH).min(ttl);
        failed = failed.min(LONGEST_UNDO_PAUSE);
    }
}
