//! How bad the network is, and how it lies.

use std::time::Duration;

/// How bad the network is. Shares are per mille.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The longest time one way.
    pub delay: Duration,
    /// The longest time between an answer and the task that waited for it.
    pub wake_up: Duration,
    /// Steps that find no connection.
    pub refused: u64,
    /// Steps in which the connection breaks, with all that are under way.
    pub broken: u64,
    /// Steps nobody hears of again.
    pub silent: u64,
    /// Messages that get lost.
    pub lost_messages: u64,
    /// Messages that come late, and how late at the most.
    pub late_messages: u64,
    pub message_delay: Duration,
    /// Messages that come twice.
    pub doubled_messages: u64,
}

impl Weather {
    /// Nothing is lost.
    pub const FAIR: Weather = Weather {
        delay: Duration::from_millis(2),
        wake_up: Duration::ZERO,
        refused: 0,
        broken: 0,
        silent: 0,
        lost_messages: 0,
        late_messages: 0,
        message_delay: Duration::ZERO,
        doubled_messages: 0,
    };
}

/// A lie of the network, for the tests of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Who asks is told that it holds the lock.
    EverybodyHolds,
    /// The token is always the same.
    TokensStandStill,
    /// Beats never come back.
    BeatsAreSwallowed,
    /// Who beats is out of the queue, and told so.
    BeatsLoseThePlace,
    /// A lock is never extended, though it is said to be.
    ExtendsDoNothing,
    /// Nobody ever leaves the queue.
    AbandonsDoNothing,
    /// Whoever releases a key frees it.
    AnybodyReleases,
    /// There is a permit more than there should be.
    OnePermitMore,
    /// Nobody is told that its lock was taken away.
    ThievesAreSilent,
}
