//! Looks at what processes believe and at what is left.

use std::collections::HashMap;

use dist_lock::Backend;
use dist_lock::backend::Text;
use dist_lock::holds::{End, State};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::{BEAT, Call, SHORT, TICK, Witness, lock};

impl Witness {
    /// Looks at everything that may become wrong with time.
    pub fn look(&self, thoroughly: bool) {
        self.check_beliefs(None);
        let keys: Vec<Text> = lock(&self.seen).keys.keys().cloned().collect();
        for key in keys {
            let holders = self.holders(&key);
            lock(&self.seen).note_holders(&key, holders, false);
        }
        self.check_grants();
        if thoroughly {
            self.check_leftovers();
        }
    }

    /// 1, 2: who says that it holds does; so no two do. 6: who does not any more was told. Of one key, or of
    /// all.
    pub(super) fn check_beliefs(&self, key: Option<&Text>) {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        let seen = &mut *seen;
        let mut broken = Vec::new();
        let mut held: HashMap<Text, Vec<Text>> = HashMap::new();
        for (id, handle) in &mut seen.handles {
            if handle.let_go || key.is_some_and(|key| handle.key != *key) {
                continue;
            }
            let Some(locker) = seen.lockers.get(&handle.process) else { continue };
            let state = locker.holds().state(id);
            if !matches!(state, State::Held | State::Suspect) {
                let since = *handle.lost_since.get_or_insert(now);
                if handle.told.is_none() && now - since > TICK {
                    handle.told = Some(End::Over);
                    broken.push(("6: loss is told in time", format!("{id} was not told")));
                }
                continue;
            }
            if let Some(stolen) = handle.stolen {
                let is_disturbed =
                    seen.disturbed.get(&handle.process).is_some_and(|until| *until >= handle.got);
                if self.hears && !is_disturbed && now - stolen > self.beat - BEAT {
                    let words = format!("{id} was taken away at {stolen:?}");
                    broken.push(("6: who was stolen from is told", words));
                    handle.let_go = true;
                }
                continue;
            }
            let holders = held.entry(handle.key.clone()).or_insert_with(|| {
                self.holders(&handle.key).into_iter().map(|(holder, _)| holder).collect()
            });
            if !holders.contains(id) {
                let left = locker.holds().remaining(id);
                let words = format!("{id} says {state:?} ({left:?} left), but {holders:?} has it");
                broken.push(("2: who says held has it", words));
                handle.let_go = true;
            }
            if let Some(end) = handle.told
                && !handle.extended
            {
                handle.let_go = true;
                broken.push(("6: who was told does not hold", format!("{id}: {end:?}, {state:?}")));
            }
        }
        for (promise, words) in broken {
            seen.breaks(promise, words);
        }
    }

    /// 10: who was granted the lock knows within a beat, though the message got lost.
    fn check_grants(&self) {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        let late: Vec<Call> = seen
            .calls
            .iter()
            .filter(|call| call.ended.is_none() && call.ttl > SHORT)
            .filter(|call| call.granted.is_some_and(|at| now - at > self.beat))
            .filter(|call| seen.is_undisturbed(call.process, call.began))
            .cloned()
            .collect();
        for call in late {
            seen.breaks("10: a grant is known within a beat", format!("{call:?}"));
            if let Some(number) = seen.by_owner.get(&call.owner).copied() {
                seen.calls[number].granted = None;
            }
        }
    }

    /// 12: who ended without the lock left nothing behind past a beat.
    fn check_leftovers(&self) {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        let store = match &*lock(&self.memory) {
            Some((memory, _)) => format!("{memory:?}"),
            None => return,
        };
        let due: Vec<usize> = (0..seen.calls.len())
            .filter(|number| {
                let call = &seen.calls[*number];
                let is_due = call.ended.is_some_and(|ended| now - ended > self.beat);
                !call.checked && !call.got && is_due
            })
            .collect();
        for number in due {
            let call = seen.calls[number].clone();
            seen.calls[number].checked = true;
            if seen.is_undisturbed(call.process, call.began) && store.contains(&*call.owner) {
                seen.breaks("12: who gave up leaves nothing", format!("{call:?}"));
            }
        }
    }

    /// 12: at the end there is nothing.
    pub fn check_nothing_is_left(&self) {
        let keys: Vec<Text> = lock(&self.seen).keys.keys().cloned().collect();
        let memory = lock(&self.memory);
        let Some((memory, observer)) = &*memory else { return };
        for key in keys {
            // A look at a key forgets what ended.
            observer.release(&key, &"nobody".into()).now_or_never().unwrap().unwrap();
        }
        let store = format!("{memory:?}");
        if !store.contains("by_key: {}") {
            self.breaks("12: at the end nothing is left", store);
        }
        let seen = lock(&self.seen);
        let waiting = seen.lockers.values().find(|it| format!("{it:?}").contains("owner: \"call"));
        let waiting = waiting.map(|locker| format!("{locker:?}"));
        drop(seen);
        if let Some(waiting) = waiting {
            self.breaks("12: nobody waits for nobody", waiting);
        }
    }
}
