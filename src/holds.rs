//! The locks this process holds, and which of them the store is to be told of next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::agenda::Agenda;
use crate::backend::{Handed, Text, Token};
use crate::clock::Moment;
use crate::end::tell;
pub use crate::end::{End, OnEnd, Past};
use crate::hold::Hold;
pub use crate::hold::{Due, Renewal, State};
use crate::id_hash::BuildIdHasher;
use crate::mutex::lock;
use crate::one_of::OneOf;
use crate::thefts::Thefts;

/// Who holds more locks than this at a time has them renewed at different times.
const CROWD: usize = 100;

/// Locks the store is told of together, as many as a script of its takes. Those that are due in a
/// moment fill it up, because many small ones cost a server more.
pub const TOGETHER: usize = 64;
const MOMENT: Duration = Duration::from_millis(20);

/// The most locks looked at without letting go of the table.
const MOST_LOOKS: usize = 1024;

/// The locks this process holds, by id.
#[derive(Debug, Default)]
pub struct Holds {
    table: Mutex<Table>,
    /// Something is due earlier than before.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// In boxes, because a table has many places that are empty.
    by_id: HashMap<Text, Box<Hold>, BuildIdHasher>,
    agenda: Agenda,
    /// When whoever looks after the locks looks without being woken, if ever.
    awake_by: Option<Moment>,
    /// When there are more holds than this, those that are over are swept out.
    sweep_above: usize,
    /// How many locks of a group were lost and are not in the table any more.
    lost: HashMap<u64, u64>,
    /// Those that were taken away and are not in the table, perhaps not yet.
    thefts: Thefts,
    /// The keys and ids of those whose end may have been told before somebody waited to hear of it.
    doubted: Vec<(Text, Text)>,
}

/// The locks of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// How many are held now.
    pub held: u64,
    /// How many have ended without being released by their holder in time.
    pub lost: u64,
}

impl Holds {
    /// Notes a lock that was granted.
    pub fn add(&self, id: &Text, mut hold: Hold) {
        let mut table = self.table();
        if table.by_id.len() >= table.sweep_above {
            table.sweep();
        }
        if table.by_id.len() >= CROWD {
            hold.stagger();
        }
        if table.thefts.meant(id, hold.token) {
            hold.give_up();
        }
        let Table { agenda, awake_by, .. } = &mut *table;
        self.plan(agenda, *awake_by, id, &mut hold);
        table.by_id.insert(id.clone(), Box::new(hold));
    }

    /// The lock that `id` holds, if it is that of `key`.
    pub fn of<'h>(&'h self, key: &Text, id: &'h Text) -> OneOf<'h> {
        let is_its = self.table().by_id.get(id).is_some_and(|hold| hold.key == *key);
        OneOf::of(is_its.then_some((self, id)))
    }

    /// Whether `id` is that of a lock held here, or being released, whose end was not told.
    pub fn contains(&self, id: &Text) -> bool {
        self.table().by_id.get(id).is_some_and(|hold| !hold.was_given_up())
    }

    /// Nobody has the handle of a lock any more: it is renewed no more.
    pub fn forget(&self, id: &Text) {
        self.change(id, Hold::stop);
    }

    /// A lock has come to its end. What was not released is remembered for as long as its lease would
    /// have lasted: its holder may still ask.
    pub fn end(&self, id: &Text, end: End) {
        let told = match end {
            End::Released => self.remove(id).map(|hold| hold.on_end),
            End::Taken | End::Over => self.change(id, Hold::give_up),
        };
        tell(told.unwrap_or_default(), end);
    }

    /// Somebody took a lock away, whose holder may not know yet that it has it.
    pub fn taken_away(&self, lock: &Handed) {
        let mut table = self.table();
        match table.by_id.get(&lock.id).map(|hold| hold.token) {
            Some(its) if its == Some(lock.token) => {
                drop(table);
                self.end(&lock.id, End::Taken);
            }
            // That was one before, under the same id.
            Some(_) => {}
            None => table.thefts.note(lock),
        }
    }

    /// The store does not know a lock any more, whose holder has not let go of it.
    pub fn forgotten(&self, id: &Text) {
        let give_up = |hold: &mut Hold| if hold.is_open() { hold.give_up() } else { Vec::new() };
        tell(self.change(id, give_up).unwrap_or_default(), End::Taken);
    }

    /// [`Hold::renewed`].
    pub fn renewed(&self, due: &Due) -> bool {
        self.change(&due.id, |hold| hold.renewed(due)).unwrap_or(true)
    }

    /// [`Hold::failed`].
    pub fn failed(&self, due: &Due) {
        self.change(&due.id, Hold::failed);
    }

    /// The time a holder may still believe in its lock; zero if there is no such lock.
    pub fn remaining(&self, id: &str) -> Duration {
        self.table().by_id.get(id).map_or(Duration::ZERO, |hold| hold.remaining())
    }

    /// What a holder may know of its lock.
    pub fn state(&self, id: &str) -> State {
        self.table().by_id.get(id).map_or(State::Gone, |hold| hold.state())
    }

    /// How a lock ended that is [lost](State::Lost).
    pub fn loss(&self, id: &str) -> End {
        self.table().loss(id)
    }

    /// What the store was last asked to set a lock's time to live to.
    pub fn ttl(&self, id: &str) -> Option<Duration> {
        self.table().by_id.get(id).map(|hold| hold.ttl())
    }

    /// Tells `on_end` how a lock ends. At once, if that has happened. What was told until `missed`, if
    /// anything was, did not reach this process.
    pub fn watch(&self, id: &Text, on_end: OnEnd, missed: impl FnOnce() -> Option<Moment>) {
        let mut table = self.table();
        let Table { by_id, agenda, awake_by, doubted, .. } = &mut *table;
        match by_id.get_mut(id) {
            Some(hold) if hold.state() != State::Lost => {
                hold.on_end.push(on_end);
                // What is missed from now on is looked for among those that are watched.
                if missed().is_some_and(|missed| hold.since < missed) {
                    doubted.push((hold.key.clone(), id.clone()));
                    self.changed.notify_one();
                }
                self.plan(agenda, *awake_by, id, hold);
            }
            _ => {
                let loss = table.loss(id);
                drop(table);
                on_end(loss);
            }
        }
    }

    /// The keys and ids of the locks of a group.
    pub fn of_group(&self, group: u64) -> Vec<(Text, Text)> {
        self.open(|hold| hold.group == group)
    }

    /// The keys and ids of all locks whose holders believe in them.
    pub fn believed(&self) -> Vec<(Text, Text)> {
        self.open(|hold| !hold.is_over())
    }

    /// The keys and ids of the locks whose end may have been told before somebody waited to hear of it; each
    /// once.
    pub fn take_doubted(&self) -> Vec<(Text, Text)> {
        std::mem::take(&mut self.table().doubted)
    }

    /// The keys and ids of the locks whose end somebody waits to hear of.
    pub fn watched(&self) -> Vec<(Text, Text)> {
        self.open(|hold| !hold.on_end.is_empty())
    }

    fn open(&self, is_meant: impl Fn(&Hold) -> bool) -> Vec<(Text, Text)> {
        let table = self.table();
        let meant = table.by_id.iter().filter(|(_, hold)| hold.is_open() && is_meant(hold));
        meant.map(|(id, hold)| (hold.key.clone(), id.clone())).collect()
    }

    /// The fencing token of a lock.
    pub fn token(&self, id: &str) -> Option<Token> {
        self.table().by_id.get(id)?.token
    }

    /// How many locks of a group there are.
    pub fn census(&self, group: u64) -> Census {
        let table = self.table();
        let mut census = Census { held: 0, lost: table.lost.get(&group).copied().unwrap_or(0) };
        for hold in table.by_id.values().filter(|hold| hold.group == group) {
            match hold.is_lost() {
                true => census.lost += 1,
                false => census.held += u64::from(hold.is_open()),
            }
        }
        census
    }

    /// Up to `most` locks whose time to live is to be set now, those first whose leases end first.
    /// Those that are over end.
    pub fn take_due(&self, most: usize) -> Vec<Due> {
        let now = Moment::now();
        let (mut taken, mut told) = (Vec::new(), Vec::new());
        let mut table = self.table();
        let Table { by_id, agenda, .. } = &mut *table;
        for _ in 0..MOST_LOOKS {
            let until = if fills_up(agenda.count_ready()) { now + MOMENT } else { now };
            let Some((at, id)) = agenda.take_until(until) else { break };
            let Some(hold) = by_id.get_mut(&id) else { continue };
            hold.place = None;
            if hold.ends_by(now) {
                told.append(&mut hold.give_up());
            } else if hold.is_due(now, MOMENT) {
                hold.place = Some(agenda.get_ready(id, hold.valid_until()));
            } else {
                let look = hold.next_look();
                agenda.plan(&id, &mut hold.place, look);
                if at > now {
                    break;
                }
            }
        }
        while let Some(id) = agenda.take_ready(|end| end <= now || taken.len() < most) {
            let Some(hold) = by_id.get_mut(&id) else { continue };
            hold.place = None;
            if hold.ends_by(now) {
                told.append(&mut hold.give_up());
                continue;
            }
            taken.extend(hold.take_due(&id, now));
            // When it is mostly due again, so that this look need not be moved.
            let look = hold.next_look().map(|look| look.min(now + hold.period()));
            agenda.plan(&id, &mut hold.place, look);
        }
        drop(table);
        tell(told, End::Over);
        taken
    }

    /// When there is something to [take](Self::take_due), or a lock that could not be taken yet is over.
    /// Whoever asks looks again by then, or earlier if something [changed](Self::changed).
    pub fn next_due(&self) -> Option<Moment> {
        let mut table = self.table();
        table.awake_by = table.agenda.next();
        table.awake_by
    }

    /// Waits until something is due earlier than it was.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes a hold out of the table, if there is one.
    pub(crate) fn remove(&self, id: &Text) -> Option<Box<Hold>> {
        let mut table = self.table();
        let hold = table.by_id.remove(id)?;
        table.agenda.strike(id, hold.place);
        Some(hold)
    }

    /// Changes a hold, if there is one, and plans it anew.
    pub(crate) fn change<T>(&self, id: &Text, change: impl FnOnce(&mut Hold) -> T) -> Option<T> {
        let mut table = self.table();
        let Table { by_id, agenda, awake_by, .. } = &mut *table;
        let hold = by_id.get_mut(id)?;
        let changed = change(hold);
        self.plan(agenda, *awake_by, id, hold);
        Some(changed)
    }

    /// Puts a hold where it is found when it is due.
    ///
    /// To wake another thread costs more than a lock does, so that is done only where it would be late.
    fn plan(&self, agenda: &mut Agenda, awake_by: Option<Moment>, id: &Text, hold: &mut Hold) {
        let look = hold.next_look();
        let is_first = agenda.plan(id, &mut hold.place, look);
        if is_first && awake_by.is_none_or(|awake| look.is_some_and(|look| look < awake)) {
            self.changed.notify_one();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl Table {
    /// How a lock ended that is lost: once its lease is over, that is what is said of any.
    fn loss(&self, id: &str) -> End {
        match self.by_id.get(id).is_none_or(|hold| hold.is_over()) {
            true => End::Over,
            false => End::Taken,
        }
    }

    /// Forgets locks that are over and whose end nobody is to be told.
    fn sweep(&mut self) {
        let lost = &mut self.lost;
        self.by_id.retain(|_, hold| {
            let stays = hold.place.is_some() || !hold.is_over();
            if !stays && hold.is_lost() {
                *lost.entry(hold.group).or_default() += 1;
            }
            stays
        });
        self.sweep_above = 2 * self.by_id.len() + 64;
    }
}

/// Whether there is room in what so many locks go with.
fn fills_up(count: usize) -> bool {
    !count.is_multiple_of(TOGETHER)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::lease::Grant;

    fn add(holds: &Holds, id: &str, ttl: Duration) -> Text {
        let id: Text = id.into();
        let grant = Grant { token: None, since: Moment::now(), ttl };
        let renewal = Renewal { max_hold: None, holder: std::sync::Weak::new() };
        let now = tokio::time::Instant::now();
        holds.add(&id, Hold::new("key".into(), &grant, now, ttl, 0, Some(renewal)));
        id
    }

    #[tokio::test]
    async fn whoever_looks_after_the_locks_is_woken_only_by_one_that_is_due_before_the_next_look() {
        let holds = Holds::default();
        let [short, long] = [10, 30].map(Duration::from_secs);
        assert_eq!(holds.next_due(), None);
        let first = add(&holds, "first", long);
        assert!(holds.changed().now_or_never().is_some(), "nothing was due");
        assert!(holds.next_due().is_some());

        holds.end(&first, End::Released);
        add(&holds, "second", long);
        assert!(holds.changed().now_or_never().is_none(), "the look at the first is soon enough");
        add(&holds, "third", short);
        assert!(holds.changed().now_or_never().is_some(), "it is due earlier");
    }
}
