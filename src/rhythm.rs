//! When a process says next that it still waits.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep_until};

use crate::backend::{Held, View};
use crate::error::Error;

/// When a step finds the lock free and does not take it, things have changed since: look again.
const SOON: Duration = Duration::from_millis(5);

/// How long after a look at the lock the next one is due: `interval` at the most, and `delay` if its
/// holder tells nobody when it is free.
pub fn next_beat(view: &View, interval: Duration, delay: Duration) -> Duration {
    let due = match (&view.held, view.left) {
        (Held::Free, _) => SOON,
        // Processes that poll in step would always meet the same of the others.
        (Held::Foreign, _) => delay.mul_f64(rand::rng().random_range(0.5..1.0)),
        // Redis counts whole milliseconds.
        (_, Some(left)) => left + Duration::from_millis(1),
        (_, None) => interval,
    };
    due.min(interval)
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
