//! Sees what the store does and what each process believes, and checks the promises of the design
//! against it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{Holder, Sharing, Text, Token};
use dist_lock::holds::{End, State};
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
    fn check_beliefs(&self, key: Option<&Text>) {
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
    fn note_tokens(&mut self, key: &Text, mut tokens: Vec<(Text, Token)>) {
        // Those that were granted in one step are told in several ways.
        tokens.sort_by_key(|(_, token)| *token);
        for (id, token) in &tokens {
            let entry = self.keys.entry(key.clone()).or_default();
            let last = entry.last_token;
            let is_known = self.tokens.get(id) == Some(token);
            let is_held = entry.holders.contains(id);
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

    fn note_step(&mut self, step: &Step, fact: &Fact, holders: &[(Text, Text)]) {
        let key = self.keys.entry(step.key.clone()).or_default();
        let before = key.holders.clone();
        let has_it = |id: &Text| holders.iter().any(|(holder, _)| holder == id);
        match step.name {
            "acquire" if fact.queued => {
                if let Some(call) = self.by_owner.get(&step.owner)
                    && key.queue.iter().all(|(id, ..)| *id != step.id)
                    && !has_it(&step.id)
                {
                    key.queue.push((step.id.clone(), *call, Instant::now()));
                }
            }
            "abandon" => key.queue.retain(|(id, ..)| *id != step.id),
            "release" | "extend"
                if !before.is_empty()
                    && !before.contains(&step.id)
                    && (fact.done || !before.iter().all(has_it)) =>
            {
                let words = format!("{step:?} when {before:?} had it, now {holders:?}");
                self.breaks("3: only one's own", words);
            }
            "steal" | "force" => {
                for id in before.iter().filter(|id| !has_it(id)) {
                    self.stolen.insert(id.clone(), Instant::now());
                    if let Some(call) = self.granted.get(id) {
                        self.calls[*call].granted = None;
                    }
                    if let Some(handle) = self.handles.get_mut(id) {
                        handle.stolen = Some(Instant::now());
                    }
                }
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

    /// With whom whoever has this owner's text would hold a lock.
    fn sharing(&self, owner: &Text) -> Sharing {
        let call = self.by_owner.get(owner).map(|number| &self.calls[*number]);
        call.map_or(Sharing::Exclusive, |call| call.sharing)
    }

    /// `stolen`: who has it now has taken it before its turn.
    fn note_holders(&mut self, name: &Text, holders: Vec<(Text, Text)>, stolen: bool) {
        let now = Instant::now();
        if !self.keys.contains_key(name) {
            return;
        }
        self.check_company(name, &holders);
        let Some(key) = self.keys.get_mut(name) else { return };
        let ids: Vec<Text> = holders.iter().map(|(id, _)| id.clone()).collect();
        let before = std::mem::replace(&mut key.holders, ids);
        let mut overtaken = Vec::new();
        for (id, _) in holders.iter().filter(|(id, _)| !before.contains(id)) {
            self.report.grants += 1;
            let place = key.queue.iter().position(|(waiting, ..)| waiting == id);
            let version_2 = id.starts_with("old");
            if let Some(place) = place {
                let (_, call, _) = key.queue[place];
                self.calls[call].granted = Some(now);
                self.granted.insert(id.clone(), call);
                self.report.hand_offs += 1;
                self.report.shares += usize::from(self.calls[call].sharing != Sharing::Exclusive);
            }
            if !version_2 && !stolen {
                let earlier = &key.queue[..place.unwrap_or(key.queue.len())];
                overtaken.extend(earlier.iter().cloned().map(|waiting| (id.clone(), waiting)));
            }
            key.queue.retain(|(waiting, ..)| waiting != id);
        }
        for (holder, (id, call, since)) in overtaken {
            if self.is_undisturbed(self.calls[call].process, self.calls[call].began) {
                let words = format!("{holder:?} came before {id}, waiting since {since:?}");
                self.breaks("11: order of arrival", words);
            }
        }
        self.check_idle(name, &holders);
    }

    /// 1: who holds a key does so with as many as it asked for.
    fn check_company(&mut self, name: &Text, holders: &[(Text, Text)]) {
        let asked: Vec<Sharing> = holders.iter().map(|(_, owner)| self.sharing(owner)).collect();
        let fits = |sharing: &Sharing| match sharing.capacity() {
            None => asked.len() == 1,
            Some(0) => true,
            Some(permits) => asked.len() <= permits as usize,
        };
        if !asked.iter().all(|sharing| fits(sharing) && *sharing == asked[0]) {
            self.breaks(
                "1: so many hold it as asked for",
                format!("{name}: {holders:?} {asked:?}"),
            );
        }
    }

    /// 8, 9: a free lock reaches a live waiter within a beat, and so does a free share the first who waits.
    fn check_idle(&mut self, name: &Text, holders: &[(Text, Text)]) {
        let now = Instant::now();
        let Some(key) = self.keys.get(name) else { return };
        let (met_version_2, waiting) = (key.met_version_2, key.queue.clone());
        let could_have_it = |(_, call, since): &&(Text, usize, Instant)| {
            let call = &self.calls[*call];
            call.ended.is_none() && *since < now && self.is_undisturbed(call.process, call.began)
        };
        let is_idle = match holders.first() {
            None => waiting.iter().any(|waiter| could_have_it(&waiter)),
            Some((_, owner)) => {
                let is_gone = |process: usize| {
                    self.dead.get(&process).is_some_and(|died| now - *died > FORGOTTEN)
                };
                let first = waiting.iter().find(|(_, call, _)| !is_gone(self.calls[*call].process));
                first.filter(could_have_it).is_some_and(|(_, call, _)| {
                    let asked = self.calls[*call].sharing;
                    let has_room = match asked.capacity() {
                        None => false,
                        Some(0) => true,
                        Some(permits) => holders.len() < permits as usize,
                    };
                    has_room && asked == self.sharing(owner)
                })
            }
        };
        let bound = if met_version_2 { 2 * self.beat } else { self.beat };
        let Some(key) = self.keys.get_mut(name) else { return };
        if !is_idle {
            key.idle = None;
        } else if now - *key.idle.get_or_insert(now) > bound {
            key.idle = None;
            let words = format!("{name}: {waiting:?}, held by {holders:?}");
            self.breaks("8, 9: a free lock is handed on", words);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
