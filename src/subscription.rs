//! Whether messages reach this process.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::clock::Moment;
use crate::error::Error;
use crate::mutex::lock;

/// A subscription that was refused is tried again this much later.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// A subscription takes a few round trips. A server that has not answered it this much later may never do.
const EXPECTED: Duration = Duration::from_secs(1);

/// Whether messages reach this process, and who waits to know.
#[derive(Debug, Default)]
pub struct Subscription {
    state: Mutex<State>,
    /// Wakes those who wait for it, in the order they came.
    changed: Notify,
    /// It has taken longer than expected.
    is_overdue: AtomicBool,
    missed: Notify,
    missed_until: Mutex<Option<Moment>>,
}

/// How far it is.
#[derive(Debug, Default)]
pub enum State {
    /// Nobody needed messages so far.
    #[default]
    None,
    /// They are asked for; what stands in the way, if anything does.
    Wanted(Option<Error>),
    /// They reach us.
    Ready,
    /// They never will: why, and since when that is known.
    Refused(Error, Instant),
}

impl Subscription {
    /// Whether messages reach us.
    pub fn is_ready(&self) -> bool {
        matches!(*self.state(), State::Ready)
    }

    /// Whether somebody is to see to it.
    pub fn is_wanted(&self) -> bool {
        matches!(*self.state(), State::Wanted(_))
    }

    /// Messages are needed. Says whether somebody has to be called to see to it.
    pub fn want(&self) -> bool {
        let mut state = self.state();
        let is_new = match &*state {
            State::None => true,
            State::Refused(_, at) => at.elapsed() >= ASK_AGAIN,
            State::Wanted(_) | State::Ready => false,
        };
        if is_new {
            *state = State::Wanted(None);
        }
        is_new
    }

    /// It has come to this.
    pub fn set(&self, state: State) {
        *self.state() = state;
        self.is_overdue.store(false, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until it is known whether messages reach us. `false`: not for now, or never.
    pub async fn known(&self) -> bool {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match &*self.state() {
                State::Ready => return true,
                State::Refused(..) | State::Wanted(Some(_)) => return false,
                State::None | State::Wanted(None) => {}
            }
            changed.await;
        }
    }

    /// Whether messages do not reach us, but may in a moment.
    pub fn is_expected(&self) -> bool {
        let is_open = matches!(*self.state(), State::None | State::Wanted(None));
        is_open && !self.is_overdue.load(Ordering::Relaxed)
    }

    /// Waits while that is so.
    pub async fn expected(&self) {
        if timeout(EXPECTED, self.known()).await.is_err() {
            self.is_overdue.store(true, Ordering::Relaxed);
        }
    }

    /// Messages may have been missed: until now, or for a while, none reached us.
    pub fn may_have_missed(&self) {
        *lock(&self.missed_until) = Some(Moment::now());
        self.missed.notify_one();
    }

    /// Waits until messages may have been missed.
    pub async fn missed(&self) {
        self.missed.notified().await;
    }

    /// Until when that was, if ever.
    pub fn missed_until(&self) -> Option<Moment> {
        *lock(&self.missed_until)
    }

    /// What keeps messages from us for now.
    pub fn trouble(&self) -> Option<Error> {
        match &*self.state() {
            State::Wanted(error) => error.clone(),
            _ => None,
        }
    }

    /// Why messages do not reach us, if it is known that they do not.
    pub fn refusal(&self) -> Option<Error> {
        match &*self.state() {
            State::Wanted(error) => error.clone(),
            State::Refused(error, _) => Some(error.clone()),
            State::None | State::Ready => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
