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

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest of many pauses in each round of a tie, and none after the last round.
    fn longest(took: Duration) -> Vec<Duration> {
        let mut longest = vec![Duration::ZERO; 5];
        for _ in 0..1000 {
            let mut tie = Tie::default();
            for longest in &mut longest {
                *longest = tie.pause(took).unwrap().max(*longest);
            }
            assert_eq!(tie.pause(took), None);
        }
        longest
    }

    #[test]
    fn pauses_fill_a_range_of_a_few_answers_that_doubles() {
        let milliseconds = Duration::from_millis;
        for (took, counts) in [(0, 1), (10, 10), (50, 50), (60_000, 50)] {
            for (round, longest) in (1..).zip(longest(milliseconds(took))) {
                let widest = milliseconds(counts) * (1 << round);
                assert!(longest <= widest, "{longest:?} of {widest:?} after {took} ms");
                assert!(longest > widest.mul_f64(0.9), "{longest:?} of {widest:?} after {took} ms");
            }
        }
    }
}
