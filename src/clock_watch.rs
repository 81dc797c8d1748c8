//! Notices when the store's clock is set: the lives of all locks are measured with it.

use std::sync::Mutex;
use std::time::Duration;

use crate::backend::Token;
use crate::clock::Moment;
use crate::mutex::lock;

/// A step this large is noticed.
const STEP: Duration = Duration::from_secs(1);

/// What took longer than this tells too little of when it was.
const EXACT: Duration = Duration::from_millis(200);

/// Two clocks drift apart, so what they are compared with must not be old.
const RENEWED: Duration = Duration::from_secs(60);

/// Compares the store's clock with ours.
#[derive(Debug, Default)]
pub struct ClockWatch(Mutex<Option<(Moment, Token)>>);

/// The store's clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// By how much at least.
    pub by: Duration,
    /// Whether it was set forward.
    pub forward: bool,
}

impl ClockWatch {
    /// A token that was given out within `took` from `since`. It is the store's time in microseconds,
    /// unless that is behind the token before: then it stands still.
    pub fn read(&self, since: Moment, took: Duration, token: Token) -> Option<Step> {
        if took > EXACT {
            return None;
        }
        let mut before = lock(&self.0);
        let (first, told) = *before.get_or_insert((since, token));
        let ours = since - first;
        let theirs = Duration::from_micros(token.saturating_sub(told));
        let forward = theirs > ours;
        let by = theirs.abs_diff(ours);
        if by >= STEP + EXACT || ours >= RENEWED {
            *before = Some((since, token));
        }
        (by >= STEP + EXACT).then_some(Step { by, forward })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Token = 1_795_445_887_480_303;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn token(after: Duration) -> Token {
        START + after.as_micros() as Token
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_as_ours_is_no_news() {
        let (watch, start) = (ClockWatch::default(), Moment::now());

        for second in 0..1000 {
            let drifted = seconds(second).mul_f64(1.0005);
            let read = watch.read(start + seconds(second), Duration::ZERO, token(drifted));
            assert_eq!(read, None, "after {second} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_is_noticed_once() {
        let (watch, start) = (ClockWatch::default(), Moment::now());
        let read = |at, token| watch.read(start + seconds(at), Duration::ZERO, token);
        assert_eq!(read(0, START), None);

        let forward = Some(Step { by: seconds(3600), forward: true });
        assert_eq!(read(10, token(seconds(3610))), forward);
        assert_eq!(read(11, token(seconds(3611))), None);

        // Set back: tokens go on by one.
        assert_eq!(read(12, token(seconds(3611)) + 1), None);
        let back = read(13, token(seconds(3611)) + 2).unwrap();
        assert!(!back.forward && back.by > seconds(1), "{back:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_long_on_its_way_is_no_step() {
        let (watch, start) = (ClockWatch::default(), Moment::now());
        watch.read(start, Duration::ZERO, START);

        assert_eq!(watch.read(start, seconds(5), token(seconds(5))), None);
    }
}
