//! Several processes, callers and faults at random, on a clock that is paused: what the design
//! promises is checked at every step the store carries out.
//!
//! `SEED=7 cargo test --test simulation` runs one seed again; `SEEDS=1000` runs so many new ones, and
//! with `TRACE=1 … -- --nocapture` it prints every step. What the product draws itself (its ids, the
//! jitter of its pauses) is not repeated, so a rare failure may take a few runs.

mod support;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dist_lock::backend::{Sharing, Text};
use dist_lock::holds::Renewal;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Error, Lock, Locker};
use support::chance::Chance;
use support::network::{Lie, Network, Process, Weather};
use support::witness::{Report, Witness};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(3);
const TTLS: [u64; 5] = [300, 1000, 3000, 5000, 10_000];
const LONGEST_TTL: Duration = Duration::from_secs(10);
const KEYS: [&str; 3] = ["lock:a", "lock:b", "lock:c"];

/// How each key is shared, if it is.
const SHARING: [Sharing; 3] =
    [Sharing::Shared, Sharing::Permits(NonZeroU32::new(2).unwrap()), Sharing::Exclusive];

/// What a run of all tests tries, and what that must come to at the least.
const FIXED_SEEDS: u64 = 75;
const FEWEST_STEPS: usize = 100_000;

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
struct Plan {
    lasts: Duration,
    processes: usize,
    callers: usize,
    weather: Weather,
    /// Processes die and others begin.
    crashes: bool,
    /// Processes stand still, lose their subscriptions; the store is out of reach.
    trouble: bool,
    version_2: bool,
    has_queue: bool,
    /// Keys are shared, too, and some have permits.
    shares: bool,
    /// Locks are taken away from their holders now and then.
    steals: bool,
    lie: Option<Lie>,
}

impl Plan {
    fn of(chance: &mut Chance) -> Self {
        let delay = Duration::from_millis(chance.one_of(&[0, 1, 5]));
        let fair = Weather { delay, ..Weather::FAIR };
        let foul = Weather {
            delay: Duration::from_millis(chance.one_of(&[1, 10, 50])),
            wake_up: Duration::from_millis(chance.one_of(&[0, 0, 2])),
            refused: chance.one_of(&[0, 5, 30]),
            broken: chance.one_of(&[0, 5, 50]),
            silent: chance.one_of(&[0, 1, 20]),
            lost_messages: chance.one_of(&[0, 50, 300]),
            late_messages: chance.one_of(&[0, 50, 200]),
            message_delay: Duration::from_millis(chance.one_of(&[100, 1000, 4000])),
            doubled_messages: chance.one_of(&[0, 100]),
        };
        let lossy = Weather {
            lost_messages: chance.one_of(&[50, 300, 1000]),
            doubled_messages: 50,
            ..fair
        };
        let kind = chance.below(4);
        let has_queue = !chance.per_mille(100);
        Plan {
            lasts: Duration::from_secs(40),
            processes: 3 + chance.below(3) as usize,
            callers: 2 + chance.below(4) as usize,
            weather: match kind {
                0 => fair,
                1 => lossy,
                _ => foul,
            },
            crashes: kind != 0 && chance.per_mille(600),
            trouble: kind >= 2,
            version_2: chance.per_mille(250),
            has_queue,
            shares: has_queue && chance.per_mille(700),
            steals: has_queue && chance.per_mille(300),
            lie: None,
        }
    }
}

/// One run: processes that come and go.
struct Run {
    plan: Plan,
    network: Arc<Network>,
    witness: Arc<Witness>,
    until: Instant,
    names: AtomicU64,
    living: Mutex<Vec<Living>>,
}

struct Living {
    process: Process,
    locker: Arc<Locker<Process>>,
    callers: JoinSet<()>,
}

fn simulate(seed: u64, plan: impl FnOnce(&mut Chance) -> Plan) -> Report {
    let mut chance = Chance::new(seed);
    let plan = plan(&mut chance);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let witness = Witness::new(plan.weather);
        let network =
            Network::new(witness.clone(), chance.fork(), plan.weather, plan.lie, plan.has_queue);
        witness.observe(&network.memory);
        let run = Run {
            plan,
            network: network.clone(),
            witness: witness.clone(),
            until: Instant::now() + plan.lasts,
            names: AtomicU64::new(0),
            living: Mutex::default(),
        };
        Arc::new(run).go(chance).await;
        let report = witness.report();
        network.end();
        witness.end();
        report
    })
}

impl Run {
    async fn go(self: Arc<Self>, mut chance: Chance) {
        for _ in 0..self.plan.processes {
            self.begin(&mut chance);
        }
        let mut others = JoinSet::new();
        let watcher = self.clone();
        others.spawn(async move { watcher.watch().await });
        if self.plan.version_2 {
            for number in 0..2 {
                let (run, chance) = (self.clone(), chance.fork());
                others.spawn(async move { run.version_2(number, chance).await });
            }
        }
        self.trouble(&mut chance).await;

        // From now on the weather is fair, nobody begins anything, and all comes to an end.
        self.network.set_weather(Weather::FAIR);
        let living = std::mem::take(&mut *self.living.lock().unwrap());
        let end = Duration::from_secs(300);
        let mut lockers = Vec::new();
        for mut living in living {
            let ended = timeout(end, async { while living.callers.join_next().await.is_some() {} });
            if ended.await.is_err() {
                self.witness.breaks("12: every call ends", format!("{:?}", living.process));
            }
            lockers.push(living.locker);
        }
        sleep(LONGEST_TTL + Duration::from_secs(11)).await;
        others.shutdown().await;
        self.witness.look(true);
        self.witness.check_nothing_is_left();
    }

    /// A process with its callers.
    fn begin(self: &Arc<Self>, chance: &mut Chance) {
        let process = self.network.process();
        let locker = Arc::new(Locker::new(process.clone(), PATIENCE));
        self.witness.begins(process.number(), locker.clone());
        let mut callers = JoinSet::new();
        for _ in 0..self.plan.callers {
            let (run, locker, mut chance) = (self.clone(), locker.clone(), chance.fork());
            let number = process.number();
            callers.spawn(async move {
                while Instant::now() < run.until && !run.witness.has_failed() {
                    sleep(chance.up_to(Duration::from_millis(100))).await;
                    run.call(number, &locker, &mut chance).await;
                }
            });
        }
        self.living.lock().unwrap().push(Living { process, locker, callers });
    }

    /// Checks what becomes wrong with time alone.
    async fn watch(&self) {
        for count in 0u64.. {
            self.witness.look(count % 12 == 0);
            sleep(Duration::from_millis(11)).await;
        }
    }

    /// Things go wrong until the run is over.
    async fn trouble(self: &Arc<Self>, chance: &mut Chance) {
        while Instant::now() < self.until && !self.witness.has_failed() {
            sleep(chance.up_to(Duration::from_secs(3))).await;
            if self.plan.crashes && chance.per_mille(300) {
                self.crash(chance);
                self.begin(chance);
            }
            if !self.plan.trouble {
                continue;
            }
            let process = {
                let living = self.living.lock().unwrap();
                living[chance.below(living.len() as u64) as usize].process.clone()
            };
            match chance.below(10) {
                0..3 => process.lose_subscription(),
                3..6 => process.stall(chance.up_to(Duration::from_secs(5))),
                6 => self.network.outage(chance.up_to(Duration::from_secs(5))),
                _ => {}
            }
        }
    }

    /// A process dies as if it had been killed: what it asked for may still be carried out.
    fn crash(&self, chance: &mut Chance) {
        let mut living = self.living.lock().unwrap();
        let number = chance.below(living.len() as u64) as usize;
        let mut dead = living.swap_remove(number);
        dead.process.die();
        self.witness.dies(dead.process.number());
        dead.callers.abort_all();
    }

    /// An older process: it polls, and its locks tell nobody anything.
    async fn version_2(&self, number: usize, mut chance: Chance) {
        let memory = &self.network.memory;
        for round in 0u64.. {
            sleep(chance.up_to(Duration::from_secs(4))).await;
            if Instant::now() >= self.until {
                return;
            }
            let key = Text::from(chance.one_of(&KEYS));
            let id = Text::from(format!("old{number}.{round}"));
            self.witness.meets_version_2(&key);
            let gives_up = Instant::now() + Duration::from_secs(10);
            while Instant::now() < gives_up {
                if memory.acquire_as_version_2(&key, &id, Duration::from_secs(3)) {
                    self.witness.look(false);
                    sleep(chance.up_to(Duration::from_millis(500))).await;
                    memory.release_as_version_2(&key, &id);
                    self.witness.look(false);
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// One caller asks for a lock, uses it and lets it go, or forgets to.
    async fn call(&self, process: usize, locker: &Arc<Locker<Process>>, chance: &mut Chance) {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        let owner = Text::from(format!("call {name};"));
        let key = Text::from(chance.one_of(&KEYS));
        let ttl = Duration::from_millis(chance.one_of(&TTLS));
        let holder = Arc::new(());
        let renewal = chance.per_mille(500).then(|| Renewal {
            max_hold: chance.per_mille(300).then(|| chance.up_to(2 * LONGEST_TTL)),
            holder: Arc::downgrade(&holder),
        });
        let renews = renewal.is_some();
        let delay = Duration::from_millis(50);
        let (retries, limit) = match chance.below(10) {
            0 => (Some(0), None),
            1 => (Some(chance.below(60) as u32), None),
            2 => (None, Some(Duration::ZERO)),
            3..6 => (None, Some(chance.up_to(Duration::from_secs(8)))),
            _ => (None, None),
        };
        let gives_up = chance.per_mille(150).then(|| chance.up_to(Duration::from_secs(3)));

        let steal = self.plan.steals && chance.per_mille(10);
        let sharing = match self.plan.shares && !steal && chance.per_mille(700) {
            true => SHARING[KEYS.iter().position(|name| *name == &*key).unwrap()],
            false => Sharing::Exclusive,
        };
        if self.plan.steals && chance.per_mille(10) {
            let _ = locker.force_release(&key).await;
        }

        let call = self.witness.calls(process, &owner, ttl, sharing);
        let schedule = Schedule::new(delay, retries, limit);
        let (started, deadline) = (Instant::now(), schedule.deadline());
        let request = Acquire::new(key.clone(), owner, ttl, schedule);
        let request = Acquire { renewal, sharing, steal, ..request };
        let acquire = locker.acquire(request);
        let answer = match gives_up {
            None => acquire.await,
            Some(after) => match timeout(after, acquire).await {
                Ok(answer) => answer,
                Err(_) => return self.witness.ended(call),
            },
        };
        if let Some(deadline) = deadline
            && Instant::now() > deadline + Duration::from_millis(2)
        {
            let words = format!("call {name} took {:?}, not {limit:?}", started.elapsed());
            self.witness.breaks("12: every call ends by its deadline", words);
        }
        if let Err(error @ (Error::Permits(_) | Error::Unsupported(_))) = &answer {
            self.witness.breaks("who agrees is not refused", format!("call {name}: {error}"));
        }
        let Ok(Some(lock)) = answer else { return self.witness.ended(call) };
        self.witness.got(call, &key, &lock);
        self.hold(locker, &key, &lock, ttl, chance).await;
        if renews {
            self.witness.drops(&lock.id);
        }
        drop(holder);
    }

    async fn hold(
        &self,
        locker: &Locker<Process>,
        key: &Text,
        lock: &Lock,
        ttl: Duration,
        chance: &mut Chance,
    ) {
        let mut holds = match chance.below(4) {
            0 => Duration::ZERO,
            1 => chance.up_to(2 * ttl),
            _ => chance.up_to(Duration::from_millis(300)),
        };
        if chance.per_mille(200) {
            let part = chance.up_to(holds);
            holds -= part;
            sleep(part).await;
            let time = chance.one_of(&[ttl, 2 * ttl, Duration::from_millis(100), ttl / 2]);
            self.witness.extends(&lock.id);
            let _ = locker.extend(key, &lock.id, time.as_millis() as f64).await;
        }
        sleep(holds).await;
        match chance.below(20) {
            // It forgets to, or its extension ends it.
            0 | 1 => {}
            2 => {
                self.witness.lets_go(&lock.id);
                let _ = locker.extend(key, &lock.id, 0.0).await;
            }
            3 => {
                let _ = locker.release(key, &"another's".into()).await;
                let _ = locker.extend(key, &"another's".into(), 1000.0).await;
                self.release(locker, key, lock).await;
            }
            _ => self.release(locker, key, lock).await,
        }
    }

    async fn release(&self, locker: &Locker<Process>, key: &Text, lock: &Lock) {
        self.witness.lets_go(&lock.id);
        let _ = locker.release(key, &lock.id).await;
    }
}

/// The seeds to run: `SEED`, or as many as `SEEDS` says that nobody has run before, or a fixed set and
/// a new one.
fn seeds() -> Vec<u64> {
    let number = |name| Some(std::env::var(name).ok()?.parse::<u64>().expect("it is a number"));
    let new = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (new..new + count).collect(),
        (None, None) => (1..=FIXED_SEEDS).chain([new]).collect(),
    }
}

#[test]
fn the_promises_are_kept_whatever_happens_to_processes_and_network() {
    let mut steps = 0;
    let seeds = seeds();
    for &seed in &seeds {
        let report = simulate(seed, Plan::of);
        assert!(report.broken.is_empty(), "SEED={seed}\n{}", report.broken.join("\n"));
        println!("SEED={seed}: {report:?}");
        steps += report.steps;
    }
    println!("{steps} steps");
    assert!(steps >= FEWEST_STEPS || seeds.len() < FIXED_SEEDS as usize, "{steps} steps");
}

/// A run in fair weather under a lie. What is found to be broken.
fn under(lie: Lie, weather: Weather) -> String {
    let plan = |seed| {
        move |_: &mut Chance| Plan {
            lasts: Duration::from_secs(20 + seed),
            processes: 3,
            callers: 3,
            weather,
            crashes: false,
            trouble: false,
            version_2: false,
            has_queue: true,
            shares: matches!(lie, Lie::OnePermitMore),
            steals: matches!(lie, Lie::ThievesAreSilent),
            lie: Some(lie),
        }
    };
    let mut found = (1..20).map(|seed| simulate(seed, plan(seed)).broken);
    found.find(|broken| !broken.is_empty()).unwrap_or_default().join("\n")
}

#[test]
fn the_witness_finds_a_store_that_grants_to_everybody() {
    let found = under(Lie::EverybodyHolds, Weather::FAIR);

    assert!(found.contains("2: who says held has it"), "{found}");
}

#[test]
fn the_witness_finds_tokens_that_stand_still() {
    let found = under(Lie::TokensStandStill, Weather::FAIR);

    assert!(found.contains("4: tokens grow"), "{found}");
}

#[test]
fn the_witness_finds_that_nobody_beats_when_messages_get_lost() {
    let lossy = Weather { lost_messages: 200, ..Weather::FAIR };

    let found = under(Lie::BeatsAreSwallowed, lossy);

    assert!(found.contains("10: ") || found.contains("8, 9: "), "{found}");
}

#[test]
fn the_witness_finds_waiters_that_lose_their_place() {
    let found = under(Lie::BeatsLoseThePlace, Weather::FAIR);

    assert!(found.contains("11: order of arrival"), "{found}");
}

#[test]
fn the_witness_finds_renewals_that_do_nothing() {
    let found = under(Lie::ExtendsDoNothing, Weather::FAIR);

    assert!(found.contains("2: who says held has it"), "{found}");
}

#[test]
fn the_witness_finds_waiters_that_never_leave() {
    let found = under(Lie::AbandonsDoNothing, Weather::FAIR);

    assert!(found.contains("12: who gave up leaves nothing"), "{found}");
}

#[test]
fn the_witness_finds_a_store_in_which_anybody_releases() {
    let found = under(Lie::AnybodyReleases, Weather::FAIR);

    assert!(found.contains("3: only one's own"), "{found}");
}

#[test]
fn the_witness_finds_a_permit_too_many() {
    let found = under(Lie::OnePermitMore, Weather::FAIR);

    assert!(found.contains("1: so many hold it"), "{found}");
}

#[test]
fn the_witness_finds_that_nobody_is_told_of_a_theft() {
    let found = under(Lie::ThievesAreSilent, Weather::FAIR);

    assert!(found.contains("6: who was stolen from is told"), "{found}");
}
