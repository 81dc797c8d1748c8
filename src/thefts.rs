//! Locks that were taken away before this process knew that it had them.

use std::collections::HashMap;
use std::time::Duration;

use crate::backend::{Handed, Text, Token};
use crate::clock::Moment;
use crate::id_hash::BuildIdHasher;

/// The longest that the answer which grants a lock comes behind the message that takes it away.
const LATE: Duration = Duration::from_secs(60);
/// When more than this are known, the old ones are forgotten.
const MOST: usize = 1024;

/// The tokens of locks that were taken away, by id, and since when that is known.
#[derive(Debug, Default)]
pub struct Thefts(HashMap<Text, (Token, Moment), BuildIdHasher>);

impl Thefts {
    /// A lock was taken away that is not held here, perhaps not yet.
    pub fn note(&mut self, Handed { id, token }: &Handed) {
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, heard)| !(*heard + LATE).is_over());
        }
        self.0.insert(id.clone(), (*token, Moment::now()));
    }

    /// Whether it was the lock with this token, which is held from now on, that was taken away. It is
    /// forgotten with that.
    pub fn meant(&mut self, id: &Text, token: Option<Token>) -> bool {
        self.0.remove(id).is_some_and(|(taken, _)| token == Some(taken))
    }
}
