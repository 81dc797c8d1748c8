//! How a hold ended, who is told, and what is known of the lock then.

use std::time::Duration;

use crate::backend::Token;

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its holder released it.
    Released,
    /// Somebody else has it, or nobody.
    Taken,
    /// Its lease is over.
    Over,
}

/// What is known of a lock once it was released: nothing, if it was not acquired here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// Its fencing token.
    pub token: Option<Token>,
    /// For how long it was held.
    pub held: Option<Duration>,
}

/// Is told, once, how a hold ended.
pub type OnEnd = Box<dyn FnOnce(End) + Send>;

/// Tells all who wait to hear how a lock ends.
pub fn tell(on_end: Vec<OnEnd>, end: End) {
    for on_end in on_end {
        on_end(end);
    }
}
