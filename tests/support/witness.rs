//! Sees what the store does and what each process believes, and checks the promises of the design
//! against it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{Text, Token};
use dist_lock::holds::{End, State};
use dist_lock::{Backend, Lock, Locker};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::network::{Audit, Fact, Process, Step};

/// The longest time between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// The granularity of timers.
const TICK: Duration = Duration::from_millis(5);

/// The longest ttl whose claim is shorter than the others'.
const SHORT: Duration = Duration::from_secs(2);

/// What was promised and not kept, and how much was seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    pub broken: Vec<String>,
    pub steps: usize,
    pub grants: usize,
    pub hand_offs: usize,
    pub losses: usize,
    pub calls: usize,
}

/// Checks the promises while things happen.
pub struct Witness {
    memory: Mutex<Option<(Arc<Memory>, Client)>>,
    seen: Mutex<Seen>,
    /// A beat, and the time the network takes to bring it there and its answer back.
    beat: Duration,
}

#[derive(Default)]
struct Seen {
    report: Report,
    beat: Duration,
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
}

/// What is known of one key.
#[derive(Default)]
struct Key {
    holder: Option<Text>,
    last_token: Token,
    /// Who is in the queue, in order, with the call it belongs to.
    queue: Vec<(Text, usize, Instant)>,
    /// Since when nobody holds it though somebody waits.
    idle: Option<Instant>,
    /// Version-2 processes were here.
    is_shared: bool,
}

/// One call of `acquire`.
#[derive(Debug, Clone)]
struct Call {
    process: usize,
    owner: Text,
    ttl: Duration,
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
}

impl Witness {
    /// `delay`: the longest time the network takes one way.
    pub fn new(delay: Duration) -> Arc<Self> {
        let beat = BEAT + 4 * delay + 2 * TICK;
        let traces = std::env::var_os("TRACE").is_some();
        let seen = Seen { began: Some(Instant::now()), beat, traces, ..Seen::default() };
        Arc::new(Witness { memory: Mutex::default(), seen: Mutex::new(seen), beat })
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
        seen.handles.retain(|_, handle| handle.process != process);
    }

    /// A call began. Its number.
    pub fn calls(&self, process: usize, owner: &Text, ttl: Duration) -> usize {
        let mut seen = lock(&self.seen);
        let call = Call {
            process,
            owner: owner.clone(),
            ttl,
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
        };
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

    pub fn is_shared(&self, key: &Text) {
        lock(&self.seen).keys.entry(key.clone()).or_default().is_shared = true;
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

    fn holder(&self, key: &Text) -> Option<Text> {
        let memory = lock(&self.memory);
        let (_, observer) = memory.as_ref()?;
        let holder = observer.read(key).now_or_never().expect("memory answers at once");
        holder.expect("memory does not fail").map(|holder| holder.id.into())
    }

    /// Looks at everything that may become wrong with time.
    pub fn look(&self, thoroughly: bool) {
        self.check_beliefs();
        let keys: Vec<Text> = lock(&self.seen).keys.keys().cloned().collect();
        for key in keys {
            let holder = self.holder(&key);
            lock(&self.seen).note_holder(&key, holder);
        }
        self.check_grants();
        if thoroughly {
            self.check_leftovers();
        }
    }

    /// 1, 2: who says that it holds does; so no two do. 6: who does not any more was told.
    fn check_beliefs(&self) {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        let seen = &mut *seen;
        let mut broken = Vec::new();
        for (id, handle) in &mut seen.handles {
            if handle.let_go {
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
            let holder = self.holder(&handle.key);
            if holder.as_ref() != Some(id) {
                let left = locker.holds().remaining(id);
                let words = format!("{id} says {state:?} ({left:?} left), but {holder:?} has it");
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

impl Audit for Witness {
    fn before(&self, key: &Text) {
        // Its lock may just have ended.
        let holder = self.holder(key);
        lock(&self.seen).note_holder(key, holder);
    }

    fn step(&self, step: &Step, fact: &Fact) {
        let holder = self.holder(&step.key);
        let mut seen = lock(&self.seen);
        seen.report.steps += 1;
        seen.trace(|| format!("{step:?}: {fact:?}, then {holder:?} has it"));
        seen.note_tokens(&step.key, &fact.tokens);
        seen.note_step(step, fact, holder.as_ref());
        seen.note_holder(&step.key, holder);
        drop(seen);
        self.check_beliefs();
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

impl Seen {
    fn breaks(&mut self, promise: &str, words: String) {
        let at = self.began.map(|began| began.elapsed()).unwrap_or_default();
        self.report.broken.push(format!("[{at:?}] {promise}: {words}"));
    }

    /// Prints what happens, if it is asked for.
    fn trace(&self, words: impl FnOnce() -> String) {
        if self.traces {
            println!("[{:?}] {}", self.began.map(|began| began.elapsed()), words());
        }
    }

    fn is_undisturbed(&self, process: usize, since: Instant) -> bool {
        self.lockers.contains_key(&process)
            && self.disturbed.get(&process).is_none_or(|until| *until < since)
    }

    /// 4: each new hold's token is larger, and 5: a hold that is asked for again keeps its own.
    fn note_tokens(&mut self, key: &Text, tokens: &[(Text, Token)]) {
        for (id, token) in tokens {
            let entry = self.keys.entry(key.clone()).or_default();
            let last = entry.last_token;
            let is_known = self.tokens.get(id) == Some(token);
            let is_held = entry.holder.as_ref() == Some(id);
            if !is_known && (*token <= last || is_held && self.tokens.contains_key(id)) {
                let words = format!("{id} has {token} after {last}, {:?}", self.tokens.get(id));
                self.breaks("4: tokens grow", words);
            }
            if !is_known {
                self.keys.entry(key.clone()).or_default().last_token = *token;
                self.tokens.insert(id.clone(), *token);
            }
        }
    }

    fn note_step(&mut self, step: &Step, fact: &Fact, holder: Option<&Text>) {
        let key = self.keys.entry(step.key.clone()).or_default();
        let before = key.holder.clone();
        match step.name {
            "acquire" if fact.queued => {
                if let Some(call) = self.by_owner.get(&step.owner)
                    && key.queue.iter().all(|(id, ..)| *id != step.id)
                    && holder != Some(&step.id)
                {
                    key.queue.push((step.id.clone(), *call, Instant::now()));
                }
            }
            "abandon" => key.queue.retain(|(id, ..)| *id != step.id),
            "release" | "extend"
                if before.is_some()
                    && before.as_ref() != Some(&step.id)
                    && (fact.done || holder.is_some() && holder != before.as_ref()) =>
            {
                let words = format!("{step:?} when {before:?} had it, now {holder:?}");
                self.breaks("3: only one's own", words);
            }
            _ => {}
        }
        if step.name == "extend"
            && let Some(handle) = self.handles.get(&step.id)
            && handle.dropped.is_some_and(|dropped| step.asked > dropped)
        {
            self.breaks("13: renewal stops", format!("{step:?}"));
        }
    }

    fn note_holder(&mut self, name: &Text, holder: Option<Text>) {
        let now = Instant::now();
        let Some(key) = self.keys.get_mut(name) else { return };
        let is_new = holder.is_some() && key.holder != holder;
        key.holder = holder.clone();
        let mut overtaken = Vec::new();
        if let Some(holder) = &holder
            && is_new
        {
            self.report.grants += 1;
            let place = key.queue.iter().position(|(id, ..)| id == holder);
            let version_2 = holder.starts_with("old");
            if let Some(place) = place {
                let (_, call, _) = key.queue[place];
                self.calls[call].granted = Some(now);
                self.report.hand_offs += 1;
            }
            if !version_2 {
                overtaken = key.queue[..place.unwrap_or(key.queue.len())].to_vec();
            }
            key.queue.retain(|(id, ..)| id != holder);
        }
        let (is_shared, waiting) = (key.is_shared, key.queue.clone());
        for (id, call, since) in overtaken {
            if self.is_undisturbed(self.calls[call].process, self.calls[call].began) {
                let words = format!("{holder:?} came before {id}, waiting since {since:?}");
                self.breaks("11: order of arrival", words);
            }
        }
        // 8, 9: a free lock reaches a live waiter within a beat.
        let somebody_waits = waiting.iter().any(|(_, call, since)| {
            let call = &self.calls[*call];
            call.ended.is_none() && *since < now && self.is_undisturbed(call.process, call.began)
        });
        let bound = if is_shared { 2 * self.beat } else { self.beat };
        let Some(key) = self.keys.get_mut(name) else { return };
        if holder.is_some() || !somebody_waits {
            key.idle = None;
        } else if now - *key.idle.get_or_insert(now) > bound {
            key.idle = None;
            self.breaks("8, 9: a free lock is handed on", format!("{name}: {waiting:?}"));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
