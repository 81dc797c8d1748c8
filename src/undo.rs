//! Undoing what was done for a caller who is gone, until that is confirmed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Result;

/// Pauses between two tries to undo grow by this factor: a lost attempt can reach the server
/// late, so one look is not enough, and looking seven times in 30 s is.
const GROWTH: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause while there is no answer at all: a server that is back is told soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The undoing of one attempt.
#[derive(Debug)]
pub struct Undo {
    ends: Option<Instant>,
    ttl: Duration,
    lost: bool,
    found: Duration,
    failed: Duration,
}

impl Undo {
    /// Undoes what would last for `ttl` from now at the longest.
    ///
    /// `lost`: an attempt was never answered, so it may still be carried out after a step that found
    /// nothing, or another attempt.
    pub fn new(ttl: Duration, lost: bool) -> Self {
        let ends = Instant::now().checked_add(ttl);
        Undo { ends, ttl, lost, found: FIRST_PAUSE, failed: FIRST_PAUSE }
    }

    /// A step has undone something, or found nothing, or failed. Whether there is to be another one,
    /// after the pause that this makes.
    pub async fn goes_on(&mut self, step: Result<bool>) -> bool {
        let pause = match step {
            Ok(_) if !self.lost => return false,
            Ok(_) => &mut self.found,
            Err(_) => {
                // The connection that carried the attempt may be gone with it.
                self.lost = true;
                &mut self.failed
            }
        };
        if self.ends.is_some_and(|ends| ends <= Instant::now()) {
            return false;
        }
        sleep(*pause).await;
        *pause = pause.saturating_mul(GROWTH).min(self.ttl);
        self.failed = self.failed.min(LONGEST_PAUSE);
        true
    }
}
