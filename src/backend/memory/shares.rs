//! A lock that several hold at once, and who they are.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::backend::{Sharing, Text, Token};
use crate::error::{Error, Result};

/// So many shares are looked at in a millisecond, on the average.
pub const PACE: usize = 20;

/// Who holds a lock that several hold at once.
#[derive(Debug)]
pub struct Shares {
    /// How many may; zero: any number.
    pub capacity: u32,
    pub by_id: BTreeMap<Text, Share>,
    /// Nobody looks for shares that are over before that.
    pub earliest: Option<Instant>,
}

/// One of them.
#[derive(Debug)]
pub struct Share {
    pub ends: Option<Instant>,
    pub token: Token,
    pub owner: Text,
}

impl Share {
    pub fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }
}

impl Shares {
    /// The share of `id`, if it has one that is not over.
    pub fn of(&self, id: &Text) -> Option<&Share> {
        self.by_id.get(id).filter(|share| !share.is_over())
    }

    /// Whether another may have one.
    pub fn has_room(&self) -> bool {
        self.capacity == 0 || self.by_id.len() < self.capacity as usize
    }
}

/// Those who share a lock must agree on how many may.
pub fn must_agree(capacity: u32, other: u32) -> Result<()> {
    match capacity == other {
        true => Ok(()),
        false => Err(Error::Permits(Sharing::of(other))),
    }
}
