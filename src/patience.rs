//! How long trouble with the server is borne before a call gives up.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};

/// The pause after the first failure; each further one doubles it.
pub const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause, so that a server that is back is noticed within a second.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What one call has gone through since the server last answered it.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    pause: Duration,
    /// In a box, because most calls have none.
    trouble: Option<Box<Trouble>>,
}

/// Failures without an answer in between.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When the first try that failed began.
    pub since: Instant,
    /// What it comes down to.
    pub error: Error,
}

impl Trouble {
    /// The error for a caller who waited behind the one that had the trouble.
    pub fn into_error_of_another(self) -> Error {
        match self.error {
            // Nothing of this caller's was sent.
            Error::Unknown(cause) => Error::Unreachable(cause),
            error => error,
        }
    }
}

impl Patience {
    /// Bears trouble that lasts less than `limit`.
    pub fn new(limit: Duration) -> Self {
        Patience { limit, pause: FIRST_PAUSE, trouble: None }
    }

    /// The failures that are going on, if any are.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_deref()
    }

    /// Redis answered: what was before does not count any more.
    pub fn rest(&mut self) {
        self.pause = FIRST_PAUSE;
        self.trouble = None;
    }

    /// Somebody else has had `trouble` while this caller, which began at `began`, waited for its
    /// turn. The error when that is more than it bears.
    pub fn share(&mut self, trouble: Trouble, began: Instant) -> Result<()> {
        let since = trouble.since.max(began);
        let error = trouble.into_error_of_another();
        self.trouble = Some(Box::new(Trouble { since, error }));
        self.check()
    }

    /// A try that began at `tried` failed. The error when there is no use in another: it is
    /// final, or the trouble has lasted too long.
    pub fn note(&mut self, error: Error, tried: Instant) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        let trouble = self
            .trouble
            .get_or_insert_with(|| Box::new(Trouble { since: tried, error: error.clone() }));
        // Once the outcome of one try is unknown, no later failure to connect makes it known.
        if !matches!(trouble.error, Error::Unknown(_)) {
            trouble.error = error;
        }
        self.check()
    }

    /// Waits for the time of the next try.
    pub async fn pause(&mut self) {
        // Jitter keeps many processes from coming back in the same instant.
        let pause = self.pause.mul_f64(rand::rng().random_range(0.5..1.0));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        sleep(pause.min(self.left())).await;
    }

    /// [`note`](Self::note) and [`pause`](Self::pause).
    pub async fn bear(&mut self, error: Error, tried: Instant) -> Result<()> {
        self.note(error, tried)?;
        self.pause().await;
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match &self.trouble {
            Some(trouble) if self.left().is_zero() => Err(trouble.error.clone()),
            _ => Ok(()),
        }
    }

    fn left(&self) -> Duration {
        let lasts = self.trouble.as_ref().map_or(Duration::ZERO, |trouble| trouble.since.elapsed());
        self.limit.saturating_sub(lasts)
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
        while patience.bear(unreachable(), Instant::now()).await.is_ok() {
            tries += 1;
        }

        assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
        assert!((10..40).contains(&tries), "{tries} tries");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_makes_patience_whole_again() {
        let mut patience = Patience::new(LIMIT);
        while patience.bear(unreachable(), Instant::now()).await.is_ok() {}

        patience.rest();

        assert!(patience.trouble().is_none());
        assert!(patience.bear(unreachable(), Instant::now()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_not_forgotten_when_the_connection_then_fails() {
        let mut patience = Patience::new(LIMIT);
        let unknown = Error::Unknown(Cause::new("reset"));
        patience.bear(unknown, Instant::now()).await.unwrap();

        let last = loop {
            if let Err(error) = patience.bear(unreachable(), Instant::now()).await {
                break error;
            }
        };

        assert_eq!(last.code(), "ERR_LOCK_UNKNOWN");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_borne_at_all() {
        let refusal = Error::Redis { code: "NOPERM".into(), message: String::new() };

        let borne = Patience::new(LIMIT).bear(refusal.clone(), Instant::now()).await;

        assert_eq!(borne, Err(refusal));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_took_as_long_as_the_limit_is_the_only_one() {
        let mut patience = Patience::new(LIMIT);
        let tried = Instant::now();
        sleep(LIMIT).await;

        assert_eq!(patience.note(unreachable(), tried), Err(unreachable()));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_of_others_counts_from_when_one_began_to_wait() {
        let trouble = Trouble { since: Instant::now(), error: unreachable() };
        sleep(LIMIT / 2).await;
        let began = Instant::now();
        sleep(LIMIT / 2).await;

        assert_eq!(Patience::new(LIMIT).share(trouble.clone(), began), Ok(()));
        assert_eq!(Patience::new(LIMIT).share(trouble, began - LIMIT), Err(unreachable()));
    }
}
