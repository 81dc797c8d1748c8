//! When a process says next that it still waits.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep_until};

use crate::backend::{CLAIM, Held, View, Waiter};
use crate::error::Error;

/// When a step finds the lock free and does not take it, things have changed since: look again.
const SOON: Duration = Duration::from_millis(5);

/// How often those of this process who wait for a lock have somebody look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// The longest time between two beats: who waits loses a grant that nobody hears of after twice that.
    pub interval: Duration,
    /// The longest time between two looks at a holder who tells nobody when the lock is free.
    pub delay: Duration,
}

impl Rhythm {
    /// That of one waiter, who would ask every `delay` if it had to ask.
    pub fn of(waiter: &Waiter, delay: Duration) -> Self {
        Rhythm { interval: waiter.ttl.min(CLAIM) / 2, delay }
    }

    /// One that is often enough for both.
    pub fn and(self, other: Self) -> Self {
        Rhythm { interval: self.interval.min(other.interval), delay: self.delay.min(other.delay) }
    }

    /// How long after a look at the lock the next one is due.
    pub fn next_beat(self, view: &View) -> Duration {
        let due = match (&view.held, view.left) {
            (Held::Free, _) => SOON,
            // Processes that poll in step would always meet the same of the others.
            (Held::Foreign, _) => self.delay.mul_f64(rand::rng().random_range(0.5..1.0)),
            // Redis counts whole milliseconds.
            (_, Some(left)) => left + Duration::from_millis(1),
            (_, None) => self.interval,
        };
        due.min(self.interval)
    }
}

/// Whether a beat may work again later, and the wait with it: a server that is full or busy still
/// keeps the queue.
pub fn is_passing(error: &Error) -> bool {
    let is_full = matches!(error, Error::Redis { code, .. } if code == "OOM" || code == "BUSY");
    is_full || error.is_transient()
}

/// Waits until then, if there is a time.
pub async fn pause_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
