//! How long trouble with the server is borne before a call gives up.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause, so that a server that is back is noticed within a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What one call has gone through since the server last answered it.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    pause: Duration,
    error: Error,
}

impl Patience {
    /// Bears trouble that lasts less than `limit`.
    pub fn new(limit: Duration) -> Self {
        Patience { limit, trouble: None }
    }

    /// Redis answered: what was before does not count any more.
    pub fn rest(&mut self) {
        self.trouble = None;
    }

    /// The error of the failure that is going on, if one is.
    pub fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref().map(|trouble| &trouble.error)
    }

    /// Returns after a pause when the step is worth another try, and the error when it is not:
    /// it is final, or the trouble has lasted too long.
    pub async fn bear(&mut self, error: Error) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            since: now,
            pause: FIRST_PAUSE,
            error: error.clone(),
        });
        // Once the outcome of one try is unknown, no later failure to connect makes it known.
        if !matches!(trouble.error, Error::Unknown(_)) {
            trouble.error = error;
        }
        let left = self.limit.saturating_sub(now - trouble.since);
        if left.is_zero() {
            return Err(trouble.error.clone());
        }

        // Jitter keeps many processes from coming back in the same instant.
        let pause = trouble.pause.mul_f64(rand::rng().random_range(0.5..1.0)).min(left);
        trouble.pause = (trouble.pause * 2).min(LONGEST_PAUSE);
        sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;

    const LIMIT: Duration = Duration::from_secs(10);

    fn unreachable() -> Error {
        Error::Unreachable(Cause::new("refused"))
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_borne_up_to_its_limit_with_few_tries() {
        let mut patience = Patience::new(LIMIT);
        let started = Instant::now();

        let mut tries = 1;
        while patience.bear(unreachable()).await.is_ok() {
            tries += 1;
        }

        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
        assert!((10..40).contains(&tries), "{tries} tries");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_makes_patience_whole_again() {
        let mut patience = Patience::new(LIMIT);
        while patience.bear(unreachable()).await.is_ok() {}

        patience.rest();

        assert!(patience.trouble().is_none());
        assert!(patience.bear(unreachable()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_not_forgotten_when_the_connection_then_fails() {
        let mut patience = Patience::new(LIMIT);
        patience.bear(Error::Unknown(Cause::new("reset"))).await.unwrap();

        let last = loop {
            if let Err(error) = patience.bear(unreachable()).await {
                break error;
            }
        };

        assert_eq!(last.code(), "ERR_LOCK_UNKNOWN");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_borne_at_all() {
        let refusal = Error::Redis { code: "NOPERM".into(), message: String::new() };

        assert_eq!(Patience::new(LIMIT).bear(refusal.clone()).await, Err(refusal));
    }
}
