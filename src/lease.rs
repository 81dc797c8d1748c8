//! How long a holder may believe that it holds.

use std::time::Duration;

use crate::backend::Token;
use crate::clock::Moment;

/// The share of the ttl by which two clocks may drift apart while a lock is held (1 %), as in
/// the Redlock description, and two milliseconds for the granularity of Redis's expiry.
const DRIFT: f64 = 0.01;
const GRANULARITY: Duration = Duration::from_millis(2);

/// A lock as it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Its fencing token; without a queue there are none.
    pub token: Option<Token>,
    /// A moment the grant is not older than: before the question it answered was sent.
    pub since: Moment,
    /// What the store was told.
    pub ttl: Duration,
}

impl Grant {
    /// Until when it holds for certain.
    pub fn valid_until(&self) -> Moment {
        self.since + lease(self.ttl)
    }

    /// Whether there is too little left of it for a caller to start with.
    pub fn is_stale(&self) -> bool {
        self.valid_until().left() <= self.ttl / 4
    }
}

/// What a holder may believe: the ttl less the margin for clocks that run differently.
pub fn lease(ttl: Duration) -> Duration {
    ttl.saturating_sub(ttl.mul_f64(DRIFT) + GRANULARITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_shorter_than_its_ttl_by_a_hundredth_and_two_milliseconds() {
        assert_eq!(lease(Duration::from_secs(30)), Duration::from_millis(29_698));
        assert_eq!(lease(Duration::from_millis(1)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_is_stale_before_it_is_over() {
        let ttl = Duration::from_secs(4);
        let grant = Grant { token: None, since: Moment::now(), ttl };

        assert!(!grant.is_stale());
        tokio::time::advance(Duration::from_secs(3)).await;

        assert!(grant.is_stale());
        assert!(!grant.valid_until().is_over());
    }
}
