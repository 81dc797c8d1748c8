//! The clock that leases are measured with: never set, and it goes on while the machine sleeps.

use std::ops::{Add, Sub};
#[cfg(unix)]
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// A moment on that clock. In tests with paused time it follows tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Instant);

/// What stands for a time the clock cannot count up to.
const A_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        // Tests pause tokio's.
        Moment(if cfg!(feature = "paused-time") { Instant::now() } else { awake_or_asleep() })
    }

    /// How long it is until this moment; zero if it is past.
    pub fn left(self) -> Duration {
        self - Moment::now()
    }

    /// Whether this moment is past.
    pub fn is_over(self) -> bool {
        self <= Moment::now()
    }

    /// The moment as tokio's timers count, which stand still while the machine sleeps.
    pub fn for_timer(self) -> Instant {
        Instant::now() + self.left()
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.checked_add(duration).unwrap_or(self.0 + A_LIFETIME))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.checked_sub(duration).unwrap_or(self.0))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// Zero if `other` is the later one.
    fn sub(self, other: Moment) -> Duration {
        self.0.saturating_duration_since(other.0)
    }
}

/// Where the store's clock stood at a moment of ours.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// A moment not later than the reading.
    pub sent: Moment,
    /// What was read.
    pub at: Duration,
}

/// The store tells its time in whole milliseconds.
const PRECISION: Duration = Duration::from_millis(1);

impl Reading {
    /// A moment not later than the store's clock stood at `at`.
    pub fn not_after(&self, at: Duration) -> Moment {
        match at.checked_sub(self.at) {
            Some(later) => (self.sent + later.saturating_sub(PRECISION)).min(Moment::now()),
            None => self.sent - (self.at - at) - PRECISION,
        }
    }
}

/// Now, as if tokio's clock, which is the standard library's, did not stand still while the machine
/// sleeps. That is one look at one clock, since every lock takes a few.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn awake_or_asleep() -> Instant {
    since_start(libc::CLOCK_BOOTTIME)
}

/// See above; on this system the standard library reads the clock that stands still.
#[cfg(target_vendor = "apple")]
fn awake_or_asleep() -> Instant {
    since_start(libc::CLOCK_MONOTONIC_RAW)
}

/// See above; here the standard library's clock counts sleep, or nothing else does.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn awake_or_asleep() -> Instant {
    Instant::now()
}

/// Now, by what `clock` has counted since the first look at it.
#[cfg(unix)]
fn since_start(clock: libc::clockid_t) -> Instant {
    static START: OnceLock<(Instant, Duration)> = OnceLock::new();
    let (start, first) = *START.get_or_init(|| (Instant::now(), read(clock)));
    start + read(clock).saturating_sub(first)
}

#[cfg(unix)]
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `time`, which lives on this stack, and to nothing else.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_moment_follows_the_paused_clock() {
        let end = Moment::now() + Duration::from_secs(10);

        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!end.is_over());
        assert!(end.left() <= Duration::from_secs(1) + Duration::from_millis(1));

        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(end.is_over());
        assert_eq!(end.left(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_of_the_store_is_a_moment_not_later_than_it_was() {
        let seconds = Duration::from_secs;
        tokio::time::advance(seconds(100)).await;
        let sent = Moment::now();
        let reading = Reading { sent, at: seconds(1000) };
        tokio::time::advance(seconds(10)).await;

        assert_eq!(reading.not_after(seconds(1005)), sent + seconds(5) - PRECISION);
        assert_eq!(reading.not_after(seconds(990)), sent - seconds(10) - PRECISION);
        assert!(reading.not_after(seconds(2000)) <= Moment::now(), "the store's clock was set");
    }

    #[test]
    fn the_clock_that_counts_sleep_goes_as_the_one_of_timers_goes() {
        let (before, began) = (awake_or_asleep(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (ended, after) = (Instant::now(), awake_or_asleep());

        // Looked at inside of the other, it cannot have gone further.
        let fast = Duration::from_micros(20);
        assert!(ended - began <= after - before + fast, "{:?}", (ended - began, after - before));
    }

    #[test]
    fn times_beyond_the_clock_are_far_away_instead_of_an_overflow() {
        assert!(!(Moment::now() + Duration::MAX).is_over());
    }
}
