//! Extensions that a member was asked for and has not answered, and may therefore carry out late.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::Text;
use crate::mutex::lock;

/// After this long nothing is under way any more, not even on a connection that was given up.
const UNDER_WAY: Duration = Duration::from_secs(120);

/// Extensions without an answer, by the lock's id. One that shortens a lock and is carried out after one
/// that lengthens it would end it early: so the longer one does not count.
#[derive(Debug, Default)]
pub struct Doubts(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<Text, Vec<(Instant, Duration)>>,
    /// When there are more locks than this, those that cannot be in doubt any more are swept out.
    sweep_above: usize,
}

impl Doubts {
    /// A member is about to be asked to extend a lock.
    pub fn begin(&self, id: &Text, ttl: Duration) {
        let mut table = self.table();
        if table.by_id.len() >= table.sweep_above {
            table.by_id.retain(|_, asked| {
                asked.retain(|(at, _)| at.elapsed() < UNDER_WAY);
                !asked.is_empty()
            });
            table.sweep_above = 2 * table.by_id.len() + 64;
        }
        table.by_id.entry(id.clone()).or_default().push((Instant::now(), ttl));
    }

    /// It has answered: what it was asked for has been done, or will not be.
    pub fn end(&self, id: &Text, ttl: Duration) {
        let mut table = self.table();
        let Some(asked) = table.by_id.get_mut(id) else { return };
        if let Some(answered) = asked.iter().rposition(|(_, asked)| *asked == ttl) {
            asked.remove(answered);
        }
        if asked.is_empty() {
            table.by_id.remove(id);
        }
    }

    /// Whether the member may yet set the lock to less than `ttl`.
    pub fn may_shorten(&self, id: &Text, ttl: Duration) -> bool {
        let table = self.table();
        let is_in_doubt =
            |(at, asked): &(Instant, Duration)| *asked < ttl && at.elapsed() < UNDER_WAY;
        table.by_id.get(id).is_some_and(|asked| asked.iter().any(is_in_doubt))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.0)
    }
}
