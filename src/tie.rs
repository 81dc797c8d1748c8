//! Ties: callers that asked at the same moment, so that each got a part of what it takes and none
//! got the lock.

use std::time::Duration;

use rand::RngExt;

/// The rounds of one tie. After them a caller takes the lock for taken: somebody else wants it.
const MOST_ROUNDS: u32 = 6;

/// An answer that took less than the first says nothing about how far apart callers have to be, and one
/// that took more than the second was not on its way all that time.
const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_millis(50);

/// One caller's part in a tie.
#[derive(Debug, Default)]
pub struct Tie {
    rounds: u32,
}

impl Tie {
    /// How long to wait before another try, where the last one took `took`: by chance, from a range
    /// that doubles each time, so that callers get out of step however many they are. `None`: it has
    /// been tried often enough.
    pub fn pause(&mut self, took: Duration) -> Option<Duration> {
        self.rounds += 1;
        let widest = took.clamp(LEAST, MOST) * (1 << self.rounds.min(MOST_ROUNDS));
        (self.rounds < MOST_ROUNDS).then(|| widest.mul_f64(rand::rng().random_range(0.0..1.0)))
    }
}
