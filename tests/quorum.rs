//! The rules of a lock that is held with a majority of independent stores, on a clock that is paused.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::memory::Memory;
use dist_lock::backend::{Mode, Quorum, Text};
use dist_lock::holds::{Renewal, State};
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Error, Lock, Locker, Result};
use support::chance::Chance;
use support::flaky::{Fate, Flaky};
use support::network::{Network, Unaudited, Weather};
use support::takes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const TTL: Duration = Duration::from_secs(30);
const DELAY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);
const NODE_TIMEOUT: Duration = Duration::from_millis(500);

type Process = Arc<Locker<Quorum<Flaky>>>;

/// Stores that know nothing of each other.
struct Stores(Vec<Arc<Memory>>);

impl Stores {
    fn new(count: usize) -> Self {
        Stores((0..count).map(|_| Arc::default()).collect())
    }

    /// One process, and its way to each store.
    fn process(&self) -> (Vec<Flaky>, Process) {
        let ways: Vec<_> = self.0.iter().map(Flaky::on).collect();
        let name = |number: usize| format!("store {number}").into();
        let members = ways.iter().cloned().enumerate().map(|(number, way)| (name(number), way));
        let quorum = Quorum::new(members.collect(), NODE_TIMEOUT);
        (ways, Arc::new(Locker::new(quorum, PATIENCE)))
    }

    /// Who holds the key in each store.
    async fn holders(&self) -> Vec<Option<String>> {
        let mut holders = Vec::new();
        for store in &self.0 {
            let holder = store.clone().client().read(&key()).await.unwrap();
            holders.push(holder.map(|holder| holder.id));
        }
        holders
    }

    /// How many stores say that somebody holds it.
    async fn held(&self) -> usize {
        self.holders().await.into_iter().flatten().count()
    }
}

fn key() -> Text {
    "k".into()
}

fn request(retries: Option<u32>, timeout: Option<Duration>) -> Acquire {
    let schedule = Schedule::new(DELAY, retries, timeout);
    Acquire::new(key(), "".into(), TTL, schedule)
}

fn once() -> Acquire {
    request(Some(0), None)
}

fn start(process: &Process, request: Acquire) -> JoinHandle<Result<Option<Lock>>> {
    let process = process.clone();
    tokio::spawn(async move { process.acquire(request).await })
}

async fn hold(process: &Process) -> Text {
    process.acquire(once()).await.unwrap().expect("it is free").id
}

/// Time for what goes on in the background.
async fn settle() {
    sleep(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn one_holder_at_a_time_and_no_token() {
    let stores = Stores::new(3);
    let ((_, one), (_, other)) = (stores.process(), stores.process());

    let lock = one.acquire(once()).await.unwrap().unwrap();

    assert_eq!(lock.token, None);
    assert_eq!(other.acquire(once()).await, Ok(None));
    assert_eq!(other.read(&key()).await.unwrap().unwrap().id, *lock.id);
    assert_eq!(one.release(&key(), &lock.id).await, Ok(true));
    assert_eq!(one.release(&key(), &lock.id).await, Ok(false));
    assert_eq!(one.read(&key()).await, Ok(None));
    assert!(other.acquire(once()).await.unwrap().is_some());
    assert!(matches!(one.mode().await, Ok(Mode::Classic(_))));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_or_is_away_costs_no_time() {
    for fate in [Fate::Silence, Fate::NeverSent, Fate::NotSent] {
        let stores = Stores::new(3);
        let ((ways, one), (others, other)) = (stores.process(), stores.process());
        ways[1].set_always(fate);
        others[1].set_always(fate);
        let started = Instant::now();

        let id = hold(&one).await;
        assert_eq!(other.acquire(once()).await, Ok(None));
        assert_eq!(one.extend(&key(), &id, 60_000.0).await, Ok(true));
        assert_eq!(other.read(&key()).await.unwrap().unwrap().id, *id);
        assert_eq!(one.release(&key(), &id).await, Ok(true));
        hold(&other).await;

        assert_eq!(started.elapsed(), Duration::ZERO, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_left_alone_and_found_again() {
    for fate in [Fate::NotSent, Fate::Loading] {
        let stores = Stores::new(3);
        let (ways, process) = stores.process();
        ways[0].set_always(fate);
        for _ in 0..1000 {
            let id = hold(&process).await;
            process.release(&key(), &id).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
        let asked = ways[0].steps().len();
        assert!(asked < 30, "{fate:?}: asked {asked} times in 10 seconds");

        ways[0].set_always(Fate::Answered);
        sleep(Duration::from_secs(1)).await;
        hold(&process).await;

        assert_eq!(stores.held().await, 3, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_slow_vote_that_decides_is_waited_for_until_the_node_timeout_and_not_longer() {
    let stores = Stores::new(3);
    assert!(takes(&stores.0[0].clone().client(), "k", "another", TTL).await);
    let (ways, process) = stores.process();

    ways[1].set([Fate::Late(NODE_TIMEOUT / 2)]);
    let started = Instant::now();
    let id = hold(&process).await;
    assert_eq!(started.elapsed(), NODE_TIMEOUT / 2);
    process.release(&key(), &id).await.unwrap();

    ways[1].set_always(Fate::Silence);
    let started = Instant::now();
    // Of three votes one is for it, one against it, and nobody has a majority: it is tried a few times.
    assert_eq!(process.acquire(once()).await, Ok(None));
    let took = started.elapsed();
    assert!((NODE_TIMEOUT..NODE_TIMEOUT * 4).contains(&took), "{took:?}");

    settle().await;
    assert_eq!(stores.holders().await[2], None);
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_of_answers_a_call_is_an_error_and_never_a_taken_lock() {
    for fate in [Fate::NotSent, Fate::Silence, Fate::ReplyLost, Fate::NeverSent] {
        let stores = Stores::new(3);
        let (ways, process) = stores.process();
        let id = hold(&process).await;
        ways[0].set_always(fate);
        ways[2].set_always(fate);
        let started = Instant::now();

        for error in [
            process.acquire(once()).await.unwrap_err(),
            process.release(&key(), &id).await.unwrap_err(),
            process.extend(&key(), &"c1".into(), 60_000.0).await.unwrap_err(),
            process.read(&key()).await.unwrap_err(),
            process.mode().await.map(|_| ()).err().unwrap_or(Error::Closed),
        ] {
            assert!(error.is_transient() || error == Error::Closed, "{fate:?}: {error}");
        }
        let took = started.elapsed();
        assert!((PATIENCE * 4..PATIENCE * 6).contains(&took), "{fate:?}: {took:?}");
        let steps = ways[0].steps().len();
        assert!(steps < 200, "{fate:?}: {steps} steps in {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stores_that_settle_do_not_say_that_a_lock_is_taken() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    hold(&stores.process().1).await;
    for way in &ways {
        way.set_for("acquire", [Fate::Late(DELAY)]);
    }
    let asked = start(&process, once());
    sleep(DELAY / 2).await;
    // Longer than it bears them.
    ways[..2].iter().for_each(|way| way.settle(2 * PATIENCE));

    let refused = asked.await.unwrap();

    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_while_nothing_answers() {
    for fate in [Fate::NotSent, Fate::Silence, Fate::ReplyLost] {
        let stores = Stores::new(3);
        let (ways, process) = stores.process();
        ways.iter().for_each(|way| way.set_always(fate));
        let started = Instant::now();

        let error = process.acquire(request(None, Some(DELAY * 5))).await.unwrap_err();

        assert!(error.is_transient(), "{error}");
        assert_eq!(started.elapsed(), DELAY * 5);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_says_what_happened_at_each_store() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    ways[0].set_always(Fate::NotSent);
    ways[2].set_always(Fate::ReplyLost);

    let error = process.acquire(request(None, Some(DELAY))).await.unwrap_err();

    assert_eq!(error.code(), "ERR_LOCK_UNKNOWN", "two may have granted it");
    let text = error.to_string();
    assert!(text.contains("2 of 3 servers failed: store 0: refused; store 2: "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_so_many_that_no_majority_is_left_is_final() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    ways[0].set_always(Fate::Refused);
    let id = hold(&process).await;

    ways[1].set_always(Fate::Refused);
    let started = Instant::now();
    let errors = [
        process.acquire(once()).await.unwrap_err(),
        process.extend(&key(), &id, 1000.0).await.unwrap_err(),
        process.release(&key(), &id).await.unwrap_err(),
    ];

    assert_eq!(started.elapsed(), Duration::ZERO);
    for error in errors {
        assert_eq!(error.redis_code(), Some("NOPERM"), "{error}");
        assert!(error.to_string().contains("store 0: NOPERM no; store 1: NOPERM no"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_gets_no_majority_leaves_nothing_behind_even_where_it_is_granted_late() {
    let stores = Stores::new(5);
    let (ways, process) = stores.process();
    for store in &stores.0[..3] {
        assert!(takes(&store.clone().client(), "k", "another", TTL).await);
    }
    ways[3].set([Fate::Late(NODE_TIMEOUT * 3)]);
    ways[4].set([Fate::LostLate(NODE_TIMEOUT * 3)]);

    assert_eq!(process.acquire(once()).await, Ok(None));
    assert_eq!(stores.held().await, 5, "two have granted it and not said so yet");
    settle().await;

    assert_eq!(stores.holders().await[3..], [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_vote_of_which_nobody_knows_is_undone_also_when_it_is_cast_late() {
    for (fate, cast_after) in
        [(Fate::ReplyLost, Duration::ZERO), (Fate::CarriedOutLate(NODE_TIMEOUT), NODE_TIMEOUT)]
    {
        let stores = Stores::new(3);
        let (ways, process) = stores.process();
        for store in &stores.0[1..] {
            assert!(takes(&store.clone().client(), "k", "another", TTL).await);
        }
        ways[0].set_for("acquire", [fate]);

        assert_eq!(process.acquire(once()).await, Ok(None));
        sleep(cast_after + Duration::from_millis(1)).await;
        assert_eq!(stores.held().await, 3, "{fate:?}");
        settle().await;

        assert_eq!(stores.holders().await[0], None, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_nothing_behind() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    ways.iter().for_each(|way| way.set([Fate::Late(DELAY)]));
    let caller = start(&process, request(None, None));
    sleep(DELAY / 2).await;
    assert_eq!(stores.held().await, 3);

    caller.abort();
    settle().await;

    assert_eq!(stores.held().await, 0);
}

#[tokio::test(start_paused = true)]
async fn undoing_an_attempt_never_frees_what_a_later_one_got() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    // All grant it, and no answer comes; so it is undone while the call goes on trying.
    ways.iter().for_each(|way| way.set_for("acquire", [Fate::ReplyLost]));

    let lock = process.acquire(request(None, None)).await.unwrap().expect("a later attempt");
    sleep(TTL - NODE_TIMEOUT - DELAY).await;

    let holders: Vec<_> = stores.holders().await.into_iter().flatten().collect();
    assert!(holders.len() >= 2, "{holders:?}");
    assert!(holders.iter().all(|holder| *holder == *lock.id), "{holders:?}");
    assert_eq!(process.holds().state(&lock.id), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_after_the_majority_belongs_to_the_lock_and_is_released_with_it() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    ways[2].set([Fate::Late(NODE_TIMEOUT / 2)]);
    let id = hold(&process).await;
    settle().await;
    assert_eq!(stores.held().await, 3);

    ways[1].set([Fate::NotSent]);
    assert_eq!(process.release(&key(), &id).await, Ok(true));
    settle().await;

    assert_eq!(stores.held().await, 0, "also where the first try has failed");
}

#[tokio::test(start_paused = true)]
async fn a_release_says_yes_or_no_only_if_a_majority_does() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    let id = hold(&process).await;
    stores.0[0].clear();
    assert_eq!(process.release(&key(), &id).await, Ok(true), "two of three still had it");

    let id = hold(&process).await;
    stores.0[0].clear();
    stores.0[1].clear();
    assert_eq!(process.release(&key(), &id).await, Ok(false), "it was lost before");

    let id = hold(&process).await;
    stores.0[0].clear();
    ways[2].set_always(Fate::NotSent);
    let error = process.release(&key(), &id).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOCK_UNKNOWN", "one has freed it, one had not got it");
    ways[2].set_always(Fate::Answered);
    settle().await;
    assert_eq!(stores.held().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_fails_releases_nothing_and_lengthens_no_belief() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    let id = hold(&process).await;
    ways[0].set_always(Fate::NotSent);
    ways[1].set_always(Fate::NotSent);

    process.extend(&key(), &id, 300_000.0).await.unwrap_err();

    assert!(process.holds().remaining(&id) < TTL);
    assert_eq!(process.holds().state(&id), State::Held);
    ways[0].set_always(Fate::Answered);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(stores.held().await, 3);
    assert_eq!(process.extend(&key(), &id, 60_000.0).await, Ok(true));
    assert!(process.holds().remaining(&id) > TTL);
}

#[tokio::test(start_paused = true)]
async fn an_extension_is_refused_only_if_a_majority_does_not_have_the_lock() {
    let stores = Stores::new(3);
    let (_, process) = stores.process();
    let id = hold(&process).await;
    stores.0[0].clear();
    assert_eq!(process.extend(&key(), &id, 60_000.0).await, Ok(true));

    stores.0[1].clear();
    assert_eq!(process.extend(&key(), &id, 60_000.0).await, Ok(false));
    assert_eq!(process.holds().state(&id), State::Lost);
    assert_eq!(stores.held().await, 1, "and nothing was released");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_named_as_the_holder_without_a_majority() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    assert!(takes(&stores.0[0].clone().client(), "k", "another", TTL).await);
    assert_eq!(process.read(&key()).await, Ok(None));

    // Now it depends on one that cannot be asked.
    ways[2].set_always(Fate::NotSent);
    assert_eq!(process.read(&key()).await.unwrap_err().code(), "ERR_LOCK_UNREACHABLE");

    assert!(takes(&stores.0[1].clone().client(), "k", "another", TTL).await);
    assert_eq!(process.read(&key()).await.unwrap().unwrap().id, "another");
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_renewed_while_a_majority_answers_and_its_end_is_told_in_time() {
    let stores = Stores::new(3);
    let (ways, process) = stores.process();
    let holder = Arc::new(());
    let renewal = Some(Renewal { max_hold: None, holder: Arc::downgrade(&holder) });
    let lock = process.acquire(Acquire { renewal, ..once() }).await.unwrap().unwrap();
    ways[1].set_always(Fate::Silence);
    sleep(TTL * 10).await;
    assert_eq!(process.holds().state(&lock.id), State::Held);

    ways[2].set_always(Fate::Silence);
    sleep(TTL / 3 + Duration::from_secs(2)).await;
    assert_eq!(process.holds().state(&lock.id), State::Suspect);
    sleep(TTL).await;

    assert_eq!(process.holds().state(&lock.id), State::Lost);
    assert_eq!(stores.process().1.read(&key()).await, Ok(None), "and not before");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_lock_when_its_holder_is_gone() {
    let stores = Stores::new(3);
    let ((_, one), (_, other)) = (stores.process(), stores.process());
    hold(&one).await;
    let started = Instant::now();

    assert!(other.acquire(request(None, None)).await.unwrap().is_some());

    assert!((TTL..=TTL + DELAY * 2).contains(&started.elapsed()), "{:?}", started.elapsed());
}

/// Processes whose questions are on their way for a while, each for its own.
fn far_away(stores: usize, processes: usize, seed: u64) -> (Vec<Arc<Network>>, Vec<FarAway>) {
    let mut chance = Chance::new(seed);
    let mut network =
        || Network::new(Arc::new(Unaudited), chance.fork(), Weather::FAIR, None, true);
    let networks: Vec<_> = (0..stores).map(|_| network()).collect();
    let process = || {
        let members = networks.iter().map(|network| ("store".into(), network.process()));
        Arc::new(Locker::new(Quorum::new(members.collect(), NODE_TIMEOUT), PATIENCE))
    };
    let processes = (0..processes).map(|_| process()).collect();
    (networks, processes)
}

type FarAway = Arc<Locker<Quorum<support::network::Process>>>;

#[tokio::test(start_paused = true)]
async fn of_those_who_ask_at_the_same_moment_one_gets_the_lock() {
    for contenders in [2, 3, 5, 9] {
        for is_one_away in [false, true] {
            let mut nobody = 0;
            for seed in 0..100 {
                let (networks, processes) = far_away(3, contenders, seed);
                if is_one_away {
                    networks[1].outage(PATIENCE);
                }
                let started = Instant::now();
                let ask = |process: &FarAway| {
                    let process = process.clone();
                    tokio::spawn(async move { process.acquire(once()).await })
                };
                let callers: Vec<_> = processes.iter().map(ask).collect();
                let mut got = 0;
                for caller in callers {
                    got += usize::from(caller.await.unwrap().unwrap().is_some());
                }
                assert!(got <= 1, "{got} of {contenders} have it");
                assert!(started.elapsed() < DELAY * 20, "{:?}", started.elapsed());
                nobody += 1 - got;
                networks.iter().for_each(|network| network.end());
            }
            assert!(nobody <= 2, "{contenders} contenders: nobody has it in {nobody} of 100 cases");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn five_processes_that_contend_are_all_served() {
    let (networks, processes) = far_away(5, 5, 1);
    let started = Instant::now();
    let inside = Arc::new(tokio::sync::Mutex::new(0));
    let mut tasks = Vec::new();
    for process in processes {
        let inside = inside.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..40 {
                let id = process.acquire(request(None, None)).await.unwrap().unwrap().id;
                let mut alone = inside.try_lock().expect("nobody else has it");
                *alone += 1;
                sleep(Duration::from_millis(3)).await;
                drop(alone);
                assert_eq!(process.release(&key(), &id).await, Ok(true));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }

    assert_eq!(*inside.lock().await, 200);
    let each = started.elapsed() / 200;
    assert!(each < DELAY * 2, "{each:?} for each");
    settle().await;
    for network in networks {
        assert_eq!(network.process().read(&key()).await, Ok(None));
        network.end();
    }
}
