//! Several processes that lock with a majority of stores, over networks that lose, delay and carry out
//! late, on a clock that is paused: no two believe at the same time that they hold the lock, every call
//! ends in time, and in the end nothing is left.
//!
//! `SEED=7 cargo test --test quorum_simulation` runs one seed again, `SEEDS=1000` so many of them.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_lock::backend::memory::Memory;
use dist_lock::backend::{Quorum, Text};
use dist_lock::holds::Renewal;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Locker};
use support::chance::Chance;
use support::network::{Network, Process, Unaudited, Weather};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const SEEDS: u64 = 24;
const LASTS: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(3);
const NODE_TIMEOUT: Duration = Duration::from_millis(250);
const LONGEST_TTL: Duration = Duration::from_secs(3);

type Locks = Arc<Locker<Quorum<Process>>>;

/// What each process believes to hold.
#[derive(Default)]
struct Beliefs {
    held: Mutex<Vec<(Locks, Text)>>,
    grants: AtomicUsize,
    failures: AtomicUsize,
}

impl Beliefs {
    /// How many believe that they hold the lock now.
    fn count(&self) -> usize {
        let held = self.held.lock().unwrap();
        held.iter().filter(|(locks, id)| !locks.holds().remaining(id).is_zero()).count()
    }

    fn check(&self, when: &str) {
        let count = self.count();
        assert!(count <= 1, "{count} processes believe that they hold the lock, {when}");
    }

    fn begin(&self, locks: &Locks, id: &Text) {
        self.held.lock().unwrap().push((locks.clone(), id.clone()));
        self.grants.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, id: &Text) {
        self.held.lock().unwrap().retain(|(_, held)| held != id);
    }
}

fn foul(chance: &mut Chance) -> Weather {
    Weather {
        delay: Duration::from_millis(chance.one_of(&[0, 1, 5, 30])),
        refused: chance.one_of(&[0, 5, 100]),
        broken: chance.one_of(&[0, 5, 50]),
        silent: chance.one_of(&[0, 1, 20]),
        ..Weather::FAIR
    }
}

/// Acquires, holds, extends and releases, over and over.
async fn work(locks: Locks, beliefs: Arc<Beliefs>, mut chance: Chance, until: Instant) {
    while Instant::now() < until {
        let ttl = Duration::from_millis(chance.one_of(&[300, 1000, 3000]));
        let limit = Duration::from_millis(chance.one_of(&[0, 100, 2000]));
        let schedule = Schedule::new(Duration::from_millis(20), None, Some(limit));
        let holder = Arc::new(());
        let renewal = Renewal { max_hold: None, holder: Arc::downgrade(&holder) };
        let renewal = chance.per_mille(300).then_some(renewal);
        let (key, owner): (Text, Text) = ("k".into(), "".into());
        let request = Acquire { renewal, ..Acquire::new(key.clone(), owner, ttl, schedule) };

        // One that asks once is bounded by patience.
        let most = if limit.is_zero() { PATIENCE * 2 } else { limit };
        let started = Instant::now();
        let acquired = match chance.per_mille(50) {
            true => match timeout(limit / 2, locks.acquire(request)).await {
                Ok(acquired) => acquired,
                Err(_) => continue,
            },
            false => locks.acquire(request).await,
        };
        assert!(started.elapsed() <= most, "{:?} for {limit:?}", started.elapsed());
        let lock = match acquired {
            Ok(Some(lock)) => lock,
            Ok(None) => continue,
            Err(_) => {
                beliefs.failures.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        };
        beliefs.begin(&locks, &lock.id);
        beliefs.check("after a grant");
        sleep(chance.up_to(ttl)).await;
        let extensions = if chance.per_mille(300) { 1 + chance.below(4) } else { 0 };
        for _ in 0..extensions {
            let time = chance.one_of(&[200, 1000, 3000]);
            let _ = locks.extend(&key, &lock.id, time as f64).await;
            beliefs.check("after an extension");
            sleep(chance.up_to(Duration::from_millis(time) / 2)).await;
        }
        beliefs.check("before a release");
        match chance.per_mille(900) {
            true => drop(locks.release(&key, &lock.id).await),
            false => sleep(LONGEST_TTL).await,
        }
        beliefs.end(&lock.id);
    }
}

async fn run(seed: u64) -> (usize, usize) {
    let mut chance = Chance::new(seed);
    let stores = chance.one_of(&[3, 3, 5]);
    let networks: Vec<_> = (0..stores)
        .map(|_| {
            let (weather, has_queue) = (foul(&mut chance), chance.per_mille(500));
            let network =
                Network::new(Arc::new(Unaudited), chance.fork(), weather, None, has_queue);
            network.delay_extensions();
            network
        })
        .collect();
    let beliefs = Arc::<Beliefs>::default();
    let until = Instant::now() + LASTS;
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let name = |number: usize| format!("store {number}").into();
        let members = networks.iter().enumerate();
        let members = members.map(|(number, network)| (name(number), network.process()));
        let locks = Arc::new(Locker::new(Quorum::new(members.collect(), NODE_TIMEOUT), PATIENCE));
        tasks.spawn(work(locks, beliefs.clone(), chance.fork(), until));
    }
    tasks.spawn({
        let (networks, mut chance) = (networks.clone(), chance.fork());
        async move {
            while Instant::now() < until {
                sleep(chance.up_to(Duration::from_secs(4))).await;
                let hit = chance.below(stores) as usize;
                match chance.below(3) {
                    0 => networks[hit].set_weather(foul(&mut chance)),
                    _ => networks[hit].outage(chance.up_to(Duration::from_secs(5))),
                }
            }
        }
    });
    tasks.spawn({
        let beliefs = beliefs.clone();
        async move {
            while Instant::now() < until {
                sleep(Duration::from_millis(7)).await;
                beliefs.check("at some moment");
            }
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }

    networks.iter().for_each(|network| network.set_weather(Weather::FAIR));
    // What was under way on a connection that hangs, then the ttl, and what is still undone meanwhile.
    sleep(LONGEST_TTL * 2 + Duration::from_secs(4)).await;
    for network in &networks {
        let memory: Arc<Memory> = network.memory.clone();
        assert_eq!(memory.client().read(&"k".into()).await, Ok(None), "something is left");
        network.end();
    }
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    (of(&beliefs.grants), of(&beliefs.failures))
}

#[test]
fn no_two_processes_believe_at_once_whatever_the_networks_do() {
    let of = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match of("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..of("SEEDS").unwrap_or(SEEDS),
    };
    let (mut grants, mut failures) = (0, 0);
    for seed in seeds.clone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        println!("SEED={seed}");
        let counts = runtime.block_on(run(seed));
        grants += counts.0;
        failures += counts.1;
    }
    println!("{grants} grants and {failures} failed calls");
    assert!(grants as u64 > 10 * (seeds.end - seeds.start), "only {grants} grants");
}
