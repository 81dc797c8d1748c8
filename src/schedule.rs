//! When an acquire tries again, and when it stops: version 2's numbers, kept on time.

use std::time::Duration;

use tokio::time::Instant;

/// How long an answer that is already on its way is waited for after the last try was due.
///
/// Version 2 waited for ever. One second is far more than a reply takes and short enough for a
/// caller who asked for a bounded wait.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// What stands for a time the clock cannot count up to.
const A_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The tries of one acquire call.
#[derive(Debug, Clone)]
pub struct Schedule {
    started: Instant,
    retry_delay: Duration,
    max_retries: Option<u32>,
    timeout: Option<Duration>,
    tried: u32,
}

impl Schedule {
    /// A schedule that starts now.
    ///
    /// * `retry_delay`: time between two tries.
    /// * `max_retries`: tries after the first; `None` never stops.
    /// * `timeout`: end of the whole call, whatever Redis does; zero asks once.
    pub fn new(retry_delay: Duration, max_retries: Option<u32>, timeout: Option<Duration>) -> Self {
        // "Do not wait" is one try, and one try takes as long as one answer.
        let once = timeout == Some(Duration::ZERO);
        Schedule {
            started: Instant::now(),
            retry_delay,
            max_retries: if once { Some(0) } else { max_retries },
            timeout: timeout.filter(|_| !once),
            tried: 0,
        }
    }

    /// Whether a lock that is taken is waited for.
    pub fn waits(&self) -> bool {
        self.max_retries != Some(0)
    }

    /// The time between two tries where nobody tells when the lock is free.
    pub fn retry_delay(&self) -> Duration {
        self.retry_delay
    }

    /// The instant at which one who waits in a queue leaves it.
    pub fn gives_up_at(&self) -> Option<Instant> {
        let timeout = self.timeout.and_then(|timeout| self.started.checked_add(timeout));
        [timeout, self.last_try()].into_iter().flatten().min()
    }

    /// When the call began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Time since the call began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant at which the call ends whatever Redis does, if the caller set one.
    pub fn deadline(&self) -> Option<Instant> {
        let timeout = self.timeout.and_then(|timeout| self.started.checked_add(timeout));
        let tries = self.last_try().filter(|last| *last > self.started);
        let tries = tries.and_then(|last| last.checked_add(LAST_ANSWER));
        [timeout, tries].into_iter().flatten().min()
    }

    /// The instant the last try is due; `None` when tries never end.
    pub fn last_try(&self) -> Option<Instant> {
        let wait = self.retry_delay.checked_mul(self.max_retries?)?;
        self.started.checked_add(wait)
    }

    /// The instant of the next try, where the last answer came at `answered`.
    ///
    /// A bounded number of tries keeps to its times, so that it ends on time; an unbounded one
    /// waits from the answer on, so that a slow server is not asked the more often for it.
    pub fn next_try(&self, answered: Instant) -> Instant {
        let (from, wait) = match self.max_retries {
            Some(_) => (self.started, self.retry_delay.saturating_mul(self.tried)),
            None => (answered, self.retry_delay),
        };
        from.checked_add(wait).unwrap_or(from + A_LIFETIME)
    }

    /// The caller came to the front of its line: the tries it could not make are behind it.
    pub fn skip_missed(&mut self) {
        let missed = match self.retry_delay.as_nanos() {
            0 => 0,
            delay => self.elapsed().as_nanos() / delay,
        };
        self.tried = self.tried.max(u32::try_from(missed).unwrap_or(u32::MAX));
    }

    /// One try of the schedule was answered. Says whether it was the last.
    pub fn tried(&mut self) -> bool {
        self.tried = self.tried.saturating_add(1);
        self.max_retries.is_some_and(|most| self.tried > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(50);

    #[tokio::test(start_paused = true)]
    async fn n_retries_are_n_plus_one_tries_at_multiples_of_the_delay() {
        let mut schedule = Schedule::new(DELAY, Some(2), None);
        let started = Instant::now();

        let mut dues = Vec::new();
        loop {
            dues.push(schedule.next_try(started) - started);
            if schedule.tried() {
                break;
            }
        }

        assert_eq!(dues, [Duration::ZERO, DELAY, DELAY * 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_timeout_and_tries_is_the_deadline() {
        let now = Instant::now();
        let deadline = |retries, timeout| {
            Schedule::new(DELAY, retries, timeout).deadline().map(|end| end - now)
        };

        assert_eq!(deadline(None, None), None);
        assert_eq!(deadline(None, Some(DELAY)), Some(DELAY));
        assert_eq!(deadline(Some(4), None), Some(DELAY * 4 + LAST_ANSWER));
        assert_eq!(deadline(Some(4), Some(DELAY)), Some(DELAY));
    }

    #[tokio::test(start_paused = true)]
    async fn one_try_ends_with_its_answer_and_not_by_a_deadline() {
        assert_eq!(Schedule::new(DELAY, Some(0), None).deadline(), None);
        assert_eq!(Schedule::new(DELAY, None, Some(Duration::ZERO)).deadline(), None);
        assert!(Schedule::new(DELAY, None, Some(Duration::ZERO)).tried());
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_beyond_the_clock_never_end_instead_of_overflowing() {
        let mut schedule = Schedule::new(Duration::MAX, Some(u32::MAX), Some(Duration::MAX));

        schedule.skip_missed();
        schedule.tried();

        assert_eq!(schedule.deadline(), None);
        assert_eq!(schedule.last_try(), None);
        assert!(schedule.next_try(Instant::now()) > Instant::now());
    }
}
