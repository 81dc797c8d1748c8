//! Sees what the store does and what each process believes, and checks the promises of the design
//! against it.

mod looks;
mod notes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{Holder, Sharing, Text, Token};
use dist_lock::holds::End;
use dist_lock::{Backend, Lock, Locker};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::network::{Audit, Fact, Process, Step, Weather};

/// The longest time between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// The granularity of timers.
const TICK: Duration = Duration::from_millis(5);

/// Who died is in nobody's way after this: for as long it is taken to be alive, and a last step of it may
/// be on the way.
const FORGOTTEN: Duration = Duration::from_secs(4);

/// The longest ttl whose claim is shorter than the others'.
const SHORT: Duration = Duration::from_secs(2);

/// What was promised and not kept, and how much was seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    pub broken: Vec<String>,
    pub steps: usize,
    pub grants: usize,
    pub hand_offs: usize,
    /// Hand-offs of a share.
    pub shares: usize,
    pub losses: usize,
    pub calls: usize,
}

/// Checks the promises while things happen.
pub struct Witness {
    memory: Mutex<Option<(Arc<Memory>, Client)>>,
    seen: Mutex<Seen>,
    /// A beat, and the time the network takes to bring it there and its answer back.
    beat: Duration,
    /// Whether messages come, and in time.
    hears: bool,
}

#[derive(Default)]
struct Seen {
    report: Report,
    beat: Duration,
    /// When processes died.
    dead: HashMap<usize, Instant>,
    began: Option<Instant>,
    traces: bool,
    lockers: HashMap<usize, Arc<Locker<Process>>>,
    /// Until when each process was disturbed last.
    disturbed: HashMap<usize, Instant>,
    calls: Vec<Call>,
    by_owner: HashMap<Text, usize>,
    handles: HashMap<Text, Handle>,
    keys: HashMap<Text, Key>,
    /// Tokens by id, in each of which a lock was granted once.
    tokens: HashMap<Text, Token>,
    /// When locks were taken away from their holders.
    stolen: HashMap<Text, Instant>,
    /// The calls of those that waited for their lock.
    granted: HashMap<Text, usize>,
}

/// What is known of one key.
#[derive(Default)]
struct Key {
    holders: Vec<Text>,
    last_token: Token,
    /// Who is in the queue, in order, with the call it belongs to.
    queue: Vec<(Text, usize, Instant)>,
    /// Since when nobody holds it though somebody waits, or not as many as could.
    idle: Option<Instant>,
    /// Version-2 processes were here.
    met_version_2: bool,
}

/// One call of `acquire`.
#[derive(Debug, Clone)]
struct Call {
    process: usize,
    owner: Text,
    ttl: Duration,
    sharing: Sharing,
    began: Instant,
    ended: Option<Instant>,
    got: bool,
    /// When the store granted it.
    granted: Option<Instant>,
    checked: bool,
}

/// A lock somebody was given.
struct Handle {
    process: usize,
    key: Text,
    /// It may be gone at the store, and whoever made it so knows.
    let_go: bool,
    /// Its holder extended it, which may bring it back.
    extended: bool,
    /// Nobody renews it since then.
    dropped: Option<Instant>,
    lost_since: Option<Instant>,
    told: Option<End>,
    got: Instant,
    /// Since when somebody else has taken it away.
    stolen: Option<Instant>,
}

impl Witness {
    /// What the network is like at its worst.
    pub fn new(weather: Weather) -> Arc<Self> {
        let beat = BEAT + 4 * weather.delay + 2 * TICK;
        let hears = weather.lost_messages == 0 && weather.late_messages == 0;
        let traces = std::env::var_os("TRACE").is_some();
        let seen = Seen { began: Some(Instant::now()), beat, traces, ..Seen::default() };
        Arc::new(Witness { memory: Mutex::default(), seen: Mutex::new(seen), beat, hears })
    }

    pub fn observe(&self, memory: &Arc<Memory>) {
        *lock(&self.memory) = Some((memory.clone(), memory.clone().client()));
    }

    /// A process began.
    pub fn begins(&self, process: usize, locker: Arc<Locker<Process>>) {
        let mut seen = lock(&self.seen);
        seen.lockers.insert(process, locker);
        seen.disturbed.insert(process, Instant::now());
    }

    /// A process died; what it believed does not count any more.
    pub fn dies(&self, process: usize) {
        let mut seen = lock(&self.seen);
        seen.lockers.remove(&process);
        seen.dead.insert(process, Instant::now());
        seen.handles.retain(|_, handle| handle.process != process);
    }

    /// A call began. Its number.
    pub fn calls(&self, process: usize, owner: &Text, ttl: Duration, sharing: Sharing) -> usize {
        let mut seen = lock(&self.seen);
        let call = Call {
            process,
            owner: owner.clone(),
            ttl,
            sharing,
            began: Instant::now(),
            ended: None,
            got: false,
            granted: None,
            checked: false,
        };
        seen.calls.push(call);
        let number = seen.calls.len() - 1;
        seen.by_owner.insert(owner.clone(), number);
        seen.report.calls += 1;
        number
    }

    /// A call came back with a lock.
    pub fn got(self: &Arc<Self>, call: usize, key: &Text, locked: &Lock) {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        seen.calls[call].ended = Some(now);
        seen.calls[call].got = true;
        let process = seen.calls[call].process;
        if let (Some(token), Some(known)) = (locked.token, seen.tokens.get(&locked.id))
            && token != *known
        {
            let words = format!("{} got token {token} and holds {known}", locked.id);
            seen.breaks("4: one hold, one token", words);
        }
        let handle = Handle {
            process,
            key: key.clone(),
            let_go: false,
            extended: false,
            dropped: None,
            lost_since: None,
            told: None,
            got: now,
            stolen: None,
        };
        // It may have been stolen before its holder heard that it had it.
        let is_held = seen.keys.get(key).is_some_and(|key| key.holders.contains(&locked.id));
        let stolen = seen.stolen.get(&locked.id).copied();
        let handle = Handle { stolen: stolen.filter(|_| !is_held), ..handle };
        seen.handles.insert(locked.id.clone(), handle);
        let locker = seen.lockers[&process].clone();
        drop(seen);
        let (witness, id) = (self.clone(), locked.id.clone());
        locker.watch(&locked.id, Box::new(move |end| witness.told(&id, end)));
    }

    /// A call ended without a lock.
    pub fn ended(&self, call: usize) {
        lock(&self.seen).calls[call].ended = Some(Instant::now());
    }

    /// From now on a lock may be gone and its holder knows.
    pub fn lets_go(&self, id: &Text) {
        if let Some(handle) = lock(&self.seen).handles.get_mut(id) {
            handle.let_go = true;
        }
    }

    /// The holder of a lock extends it.
    pub fn extends(&self, id: &Text) {
        if let Some(handle) = lock(&self.seen).handles.get_mut(id) {
            handle.extended = true;
        }
    }

    /// Nobody is left who could release a lock.
    pub fn drops(&self, id: &Text) {
        if let Some(handle) = lock(&self.seen).handles.get_mut(id) {
            handle.dropped = Some(Instant::now());
        }
    }

    fn told(&self, id: &Text, end: End) {
        let mut seen = lock(&self.seen);
        let Some(handle) = seen.handles.get_mut(id) else { return };
        let before = handle.told.replace(end);
        if before.is_some() {
            seen.breaks("6: loss is told once", format!("{id}: {before:?}, then {end:?}"));
        } else if end != End::Released {
            seen.report.losses += 1;
        }
    }

    /// Something a test found itself.
    pub fn breaks(&self, promise: &str, words: String) {
        lock(&self.seen).breaks(promise, words);
    }

    pub fn meets_version_2(&self, key: &Text) {
        lock(&self.seen).keys.entry(key.clone()).or_default().met_version_2 = true;
    }

    pub fn report(&self) -> Report {
        lock(&self.seen).report.clone()
    }

    pub fn has_failed(&self) -> bool {
        !lock(&self.seen).report.broken.is_empty()
    }

    /// Forgets the lockers, which would keep the network alive.
    pub fn end(&self) {
        lock(&self.seen).lockers.clear();
        *lock(&self.memory) = None;
    }

    /// Who holds the key, in the order of their tokens, each with its owner.
    fn holders(&self, key: &Text) -> Vec<(Text, Text)> {
        owners(&self.listed(key))
    }

    fn listed(&self, key: &Text) -> Vec<Holder> {
        let memory = lock(&self.memory);
        let Some((_, observer)) = memory.as_ref() else { return Vec::new() };
        let keys = std::slice::from_ref(key);
        let listed = observer.list(keys).now_or_never().expect("memory answers at once");
        listed.expect("memory does not fail").swap_remove(0).holders
    }
}

/// Who holds a lock, and with which owner's text.
fn owners(listed: &[Holder]) -> Vec<(Text, Text)> {
    let owner = |one: &Holder| one.owner.as_deref().unwrap_or_default().into();
    listed.iter().map(|one| (one.id.as_str().into(), owner(one))).collect()
}

impl Audit for Witness {
    fn before(&self, key: &Text) {
        // Its lock may just have ended.
        let holders = self.holders(key);
        lock(&self.seen).note_holders(key, holders, false);
    }

    fn step(&self, step: &Step, fact: &Fact) {
        let listed = self.listed(&step.key);
        let holders = owners(&listed);
        // Whom nobody tells of its token has one, too.
        let of_holder = |one: &Holder| Some((Text::from(one.id.as_str()), one.token?));
        let mut tokens = fact.tokens.clone();
        tokens.extend(listed.iter().filter_map(of_holder));
        let mut seen = lock(&self.seen);
        seen.report.steps += 1;
        seen.trace(|| format!("{step:?}: {fact:?}, then {holders:?} have it"));
        seen.note_tokens(&step.key, tokens);
        seen.note_step(step, fact, &holders);
        seen.note_holders(&step.key, holders, step.name == "steal");
        drop(seen);
        self.check_beliefs(Some(&step.key));
    }

    fn disturbed(&self, process: usize, until: Instant) {
        let mut seen = lock(&self.seen);
        seen.trace(|| {
            format!("process {process} is disturbed, {:?} longer", until - Instant::now())
        });
        let before = seen.disturbed.entry(process).or_insert(until);
        *before = until.max(*before);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
