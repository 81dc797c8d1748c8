//! The memory store is the specification: the same steps of the same processes on it and on Redis,
//! every answer and every message compared. The clock of the memory store follows that of Redis: see `Stage`.

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use dist_lock::Backend;
use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{
    Acquired, Beat, CLAIM, Handed, Held, Messages, Redis, Released, Sharing, Text, Waiter,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::server::Server;
use support::waiter;
use support::world::{Hand, IDS, InMemory, Outcome, PROCESSES, Stage, Step, TTL};
use tokio::time::advance;

/// Sequences, and how often one is tried until it went alike.
const CASES: u32 = 120;
const TRIES: usize = 4;
/// The same for one that must be clear.
const TRIES_ALONE: usize = 20;

fn step() -> impl Strategy<Value = Step> {
    let process = 0..PROCESSES;
    // Most of the time there is one key, or nobody would queue.
    let key = prop_oneof![19 => Just(0usize), 1 => Just(1usize)];
    let own = (process.clone(), key.clone(), 0..IDS)
        .prop_map(|(process, key, id)| (process, key, process * IDS + id));
    let any = (process.clone(), key.clone(), 0..PROCESSES * IDS);
    // −1 and 0 end a lock, as its expiry does; 1.5 is none of PEXPIRE's numbers.
    let milliseconds = prop_oneof![
        Just(900_000.0),
        Just(500_000.0),
        Just(0.0),
        Just(-1.0),
        Just(1.5),
        Just(-1.5),
        Just(1e300),
    ];
    prop_oneof![
        160 => (own.clone(), prop::bool::weighted(0.9))
            .prop_map(|((process, key, id), wait)| Step::Acquire { process, key, id, wait }),
        5 => any.clone().prop_map(|(process, key, id)| Step::Release { process, key, id }),
        100 => (process.clone(), key.clone())
            .prop_map(|(process, key)| Step::HolderReleases { process, key }),
        5 => (any.clone(), milliseconds.clone()).prop_map(
            |((process, key, id), milliseconds)| Step::Extend { process, key, id, milliseconds }
        ),
        30 => (process.clone(), key.clone(), milliseconds).prop_map(
            |(process, key, milliseconds)| Step::HolderExtends { process, key, milliseconds }
        ),
        20 => own.clone().prop_map(|(process, key, id)| Step::Abandon { process, key, id }),
        60 => (own.clone(), prop_oneof![Just(600_000u64), Just(50)])
            .prop_map(|((process, key, id), delay)| Step::Beat { process, key, id, delay }),
        40 => (process.clone(), 0..3usize)
            .prop_map(|(process, id)| Step::All { process, id: process * IDS + id }),
        5 => (process.clone(), key.clone()).prop_map(|(process, key)| Step::Read { process, key }),
        8 => own.clone().prop_filter_map("nobody steals a share", |(process, key, id)| {
            (id % IDS < 4).then_some(Step::Steal { process, key, id })
        }),
        5 => (process.clone(), key.clone()).prop_map(|(process, key)| Step::Force { process, key }),
        8 => (process.clone(), key.clone()).prop_map(|(process, key)| Step::List { process, key }),
        10 => key.clone().prop_map(|key| Step::Expire { key }),
        20 => (key.clone(), 0..2usize, prop::bool::weighted(0.3))
            .prop_map(|(key, id, first)| Step::TakeAsVersion2 { key, id, first }),
        25 => key.clone().prop_map(|key| Step::ReleaseAsVersion2 { key }),
        1 => Just(Step::Flush),
        4 => process.clone().prop_map(|process| Step::Subscribe { process }),
        4 => process.prop_map(|process| Step::LoseSubscription { process }),
        20 => Just(Step::Again),
        4 => (1..80u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

#[test]
fn redis_answers_and_tells_in_every_sequence_of_steps_what_the_memory_store_does() {
    let server = Server::start();
    let stage = Stage::new(&server);
    let (compared, asked) = (Cell::new(0), Cell::new(0));

    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 1..250), |steps| {
        let outcome = compare(&stage, &steps, TRIES);
        asked.set(asked.get() + steps.len());
        compared.set(
            compared.get()
                + match &outcome {
                    Outcome::Unclear(number) => *number,
                    _ => steps.len(),
                },
        );
        prop_assert!(!matches!(outcome, Outcome::Differs(_)), "{outcome:?}");
        Ok(())
    });

    println!("{} of {} steps", compared.get(), asked.get());
    outcome.unwrap();
    assert!(compared.get() > asked.get() / 2, "most of it was unclear");
}

/// What came of it. A difference counts if every try has one: what began a little late may be looked at a little
/// early.
fn compare(stage: &Stage, steps: &[Step], tries: usize) -> Outcome {
    let mut clearest = None;
    for _ in 0..tries {
        clearest = Some(match (clearest.take(), stage.compare(steps)) {
            (_, Outcome::Same) => return Outcome::Same,
            (Some(Outcome::Unclear(one)), Outcome::Unclear(other)) => {
                Outcome::Unclear(one.max(other))
            }
            (Some(unclear @ Outcome::Unclear(_)), _) => unclear,
            (_, other) => other,
        });
    }
    clearest.unwrap_or(Outcome::Same)
}

/// The same with time between the steps, on a Redis of their own.
fn compare_alone(steps: &[Step]) -> Outcome {
    let server = Server::start();
    compare(&Stage::new(&server), steps, TRIES_ALONE)
}

fn waits(id: usize) -> Step {
    Step::Acquire { process: id / IDS, key: 0, id, wait: true }
}

fn releases(id: usize) -> Step {
    Step::Release { process: id / IDS, key: 0, id }
}

fn beats(id: usize) -> Step {
    Step::Beat { process: id / IDS, key: 0, id, delay: 40 }
}

#[test]
fn a_number_that_is_no_time_is_refused_whether_somebody_waits_or_not() {
    let numbers = [1.5, -1.5, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for waits_too in [false, true] {
        let mut steps = vec![waits(0)];
        steps.extend(waits_too.then(|| waits(6)));
        for milliseconds in numbers {
            steps.push(Step::Extend { process: 0, key: 0, id: 0, milliseconds });
            steps.push(Step::Read { process: 0, key: 0 });
        }

        assert_eq!(compare_alone(&steps), Outcome::Same);
    }
}

#[test]
fn minus_zero_is_zero() {
    let ends = Step::Extend { process: 0, key: 0, id: 0, milliseconds: -0.0 };
    let steps = [waits(0), ends.clone(), waits(0), waits(6), ends];

    assert_eq!(compare_alone(&steps), Outcome::Same);
}

#[test]
fn in_redis_too_claims_end_and_silent_processes_are_passed_over() {
    let steps = [
        waits(0),
        // The first process waits behind two of the second.
        waits(6),
        waits(8),
        waits(2),
        Step::Wait { milliseconds: 1600 },
        beats(2),
        Step::Wait { milliseconds: 1600 },
        // The second has not beaten for more than three seconds.
        releases(0),
        Step::Read { process: 0, key: 0 },
        // It comes back, is granted the lock by a message and does not claim it.
        waits(6),
        waits(8),
        releases(2),
        beats(6),
        Step::Wait { milliseconds: 2100 },
        Step::Read { process: 0, key: 0 },
        beats(8),
        Step::Read { process: 0, key: 0 },
    ];

    assert_eq!(compare_alone(&steps), Outcome::Same);
}

#[test]
fn in_redis_too_version_2_processes_are_left_a_window_every_few_hand_offs() {
    let take = Step::TakeAsVersion2 { key: 0, id: 0, first: false };
    let steps = [
        take.clone(),
        waits(0),
        waits(2),
        waits(3),
        beats(0),
        Step::ReleaseAsVersion2 { key: 0 },
        beats(0),
        Step::Wait { milliseconds: 150 },
        releases(0),
        waits(0),
        releases(2),
        waits(2),
        releases(3),
        waits(3),
        releases(0),
        // The fourth hand-off: nobody has it for 50 ms.
        beats(2),
        Step::Wait { milliseconds: 70 },
        beats(2),
        releases(2),
        releases(3),
    ];

    assert_eq!(compare_alone(&steps), Outcome::Same);
}

#[test]
fn in_redis_too_no_window_follows_before_the_lock_was_ours_for_half_as_long_again_as_theirs() {
    for milliseconds in [250, 400] {
        let steps = [
            Step::TakeAsVersion2 { key: 0, id: 0, first: false },
            waits(0),
            waits(2),
            waits(3),
            Step::Wait { milliseconds: 200 },
            Step::ReleaseAsVersion2 { key: 0 },
            beats(0),
            Step::Wait { milliseconds },
            releases(0),
            waits(0),
            releases(2),
            waits(2),
            releases(3),
            releases(0),
            Step::Read { process: 0, key: 0 },
        ];

        assert_eq!(compare_alone(&steps), Outcome::Same);
    }
}

/// Three processes on the specification, subscribed, the first of which holds the lock.
async fn specification() -> (Vec<Client>, Vec<Messages>) {
    let clients = InMemory::new().processes();
    let mut messages = Vec::new();
    for client in &clients {
        messages.push(client.subscribe().await.unwrap());
    }
    join(&clients[0], "holder").await;
    (clients, messages)
}

async fn join(client: &Client, id: &str) -> Acquired {
    client.acquire(&"k".into(), &waiter(id, TTL), true).await.unwrap()
}

async fn release(client: &Client, id: &str) -> Released {
    client.release(&"k".into(), &id.into()).await.unwrap()
}

async fn beat(client: &Client, id: &str) -> Beat {
    let delay = Duration::from_millis(40);
    client.beat(&"k".into(), &waiter(id, TTL), delay).await.unwrap()
}

async fn holder(client: &Client) -> Option<String> {
    client.read(&"k".into()).await.unwrap().map(|holder| holder.id)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_process_is_taken_to_be_alive_for_three_seconds_after_its_last_beat() {
    for (silent, expected) in [(2_999, Some("a".to_owned())), (3_000, Some("b".to_owned()))] {
        let (clients, _messages) = specification().await;
        join(&clients[1], "a").await;
        advance(Duration::from_millis(silent)).await;
        join(&clients[2], "b").await;

        release(&clients[0], "holder").await;

        assert_eq!(holder(&clients[0]).await, expected, "after {silent} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_granted_by_a_message_ends_after_the_claim_and_one_that_was_asked_for_does_not() {
    let (clients, _messages) = specification().await;
    join(&clients[1], "a").await;
    join(&clients[0], "b").await;
    release(&clients[0], "holder").await;

    advance(CLAIM - Duration::from_millis(1)).await;
    assert_eq!(holder(&clients[0]).await, Some("a".into()));
    advance(Duration::from_millis(1)).await;
    assert_eq!(holder(&clients[0]).await, None);
    assert!(matches!(beat(&clients[0], "b").await, Beat::Known(_)));
    advance(2 * CLAIM).await;

    assert_eq!(holder(&clients[0]).await, Some("b".into()), "its process beat, so it knows");
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_confirmed_by_asking_again() {
    let (clients, _messages) = specification().await;
    join(&clients[1], "a").await;
    release(&clients[0], "holder").await;
    advance(CLAIM / 2).await;

    assert!(matches!(join(&clients[1], "a").await, Acquired::Held(_)));
    advance(10 * CLAIM).await;

    assert_eq!(holder(&clients[0]).await, Some("a".into()));
}

#[tokio::test(start_paused = true)]
async fn a_queue_goes_ten_seconds_after_the_last_beat_of_anybody() {
    let (clients, _messages) = specification().await;
    join(&clients[1], "a").await;
    advance(seconds(9)).await;
    assert!(matches!(beat(&clients[1], "a").await, Beat::Known(_)));
    advance(seconds(9)).await;
    assert!(matches!(beat(&clients[1], "a").await, Beat::Known(_)));

    advance(seconds(10)).await;

    assert!(matches!(beat(&clients[1], "a").await, Beat::Lost(_)));
}

#[tokio::test(start_paused = true)]
async fn a_barge_window_is_a_quarter_longer_than_the_delay_and_nobody_in_the_queue_has_it() {
    let memory = InMemory::new();
    let clients = memory.processes();
    let key = Text::from("k");
    let _messages = clients[0].subscribe().await.unwrap();
    assert!(memory.take_as_version_2(&key, &"old".into()));
    for id in ["a", "b", "c", "d", "e", "f"] {
        join(&clients[0], id).await;
    }
    beat(&clients[0], "a").await;
    advance(seconds(1)).await;
    memory.release_as_version_2(&key, &"old".into());
    beat(&clients[0], "a").await;
    advance(seconds(2)).await;

    for id in ["a", "b", "c"] {
        assert!(matches!(release(&clients[0], id).await, Released::HandedOn(_)));
    }
    assert_eq!(release(&clients[0], "d").await, Released::Yes);
    advance(Duration::from_millis(49)).await;
    let Beat::Known(during) = beat(&clients[0], "e").await else { panic!("it waits") };
    advance(Duration::from_millis(1)).await;
    let Beat::Known(after) = beat(&clients[0], "e").await else { panic!("it waits") };

    assert_eq!(during.held, Held::Window);
    assert!(matches!(after.held, Held::Ours(Handed { id, .. }) if *id == *"e"));
}

/// For how long `key` is held once it was extended and then asked for again, in each way there is.
async fn left_of_what_was_asked_for_again(store: &impl Backend) -> Vec<u64> {
    let mut left = Vec::new();
    for (way, sharing) in
        [Sharing::Exclusive, Sharing::Shared, Sharing::Exclusive, Sharing::Exclusive]
            .into_iter()
            .enumerate()
    {
        let (key, asks) =
            (Text::from(format!("again-{way}")), Waiter { sharing, ..waiter("a", TTL) });
        let wanted = [(key.clone(), asks.clone())];
        store.acquire(&key, &asks, false).await.unwrap();
        for milliseconds in [3 * TTL, TTL / 3].map(|ttl| ttl.as_millis() as f64) {
            store.extend(&key, &asks.id, milliseconds).await.unwrap();
            match way {
                2 => drop(store.steal(&key, &asks).await.unwrap()),
                3 => drop(store.acquire_all(&wanted).await.unwrap()),
                _ => drop(store.acquire(&key, &asks, false).await.unwrap()),
            }
            let holder = store.read(&key).await.unwrap().unwrap();
            left.push((holder.left.unwrap().as_secs_f64() / TTL.as_secs_f64()).round() as u64);
        }
    }
    left
}

#[tokio::test]
async fn an_acquire_that_comes_behind_an_extension_makes_no_lock_shorter() {
    let server = Server::start();
    let (redis, memory) =
        (Redis::new(server.settings()).unwrap(), Arc::<Memory>::default().client());

    let expected = [3, 1].repeat(4);
    assert_eq!(left_of_what_was_asked_for_again(&memory).await, expected);
    assert_eq!(left_of_what_was_asked_for_again(&redis).await, expected);
}
