//! What an answer says of a lock that two stores must agree about.

use std::collections::HashMap;
use std::time::Duration;

use dist_lock::backend::{Text, Token};

/// Tokens by order of first appearance: those of two stores are equal only in that.
#[derive(Default)]
pub(super) struct Tokens {
    by_id: HashMap<Text, Vec<Token>>,
    /// Before this step, which may grant several shares, and now.
    pub(super) before: Token,
    pub(super) largest: Token,
}

impl Tokens {
    /// "b#2": the second token of the lock "b". A new one is larger than all before it.
    pub(super) fn name(&mut self, id: &str, token: Token) -> String {
        let known = self.by_id.entry(id.into()).or_default();
        let number = known.iter().position(|other| *other == token).unwrap_or_else(|| {
            assert!(token > self.before, "{token} of {id} after {}", self.before);
            self.largest = self.largest.max(token);
            known.push(token);
            known.len() - 1
        });
        format!("{id}#{number}")
    }
}

/// What can be compared of an answer: words, and the time left.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) words: String,
    pub(super) left: Option<Duration>,
    pub(super) told: Vec<Vec<String>>,
}

impl Said {
    /// All but how long is left.
    pub(super) fn is_like(&self, other: &Said) -> bool {
        let lasts = self.left.is_some() == other.left.is_some();
        lasts && self.words == other.words && self.told == other.told
    }

    /// Whether the time left is what it may be, if neither beginning nor look were earlier than those of one nor
    /// later than those of the other.
    pub(super) fn lasts_between(&self, one: &Said, other: &Said, blur: Duration) -> bool {
        let (Some(left), Some(one), Some(other)) = (self.left, one.left, other.left) else {
            return true;
        };
        (one.min(other).saturating_sub(blur)..=one.max(other) + blur).contains(&left)
    }
}
