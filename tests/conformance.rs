//! The memory store is the specification: the same steps on it and on Redis, every answer
//! compared.

mod support;

use std::time::Duration;

use dist_lock::Backend;
use dist_lock::backend::{Memory, Redis, Text};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::server::Server;

/// Long enough that no lock ends by itself while a sequence runs; ends are made by `extend`.
const TTL: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
enum Step {
    Acquire { key: u8, id: u8 },
    Release { key: u8, id: u8 },
    Extend { key: u8, id: u8, milliseconds: f64 },
    Read { key: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let (key, id) = (0..3u8, 0..4u8);
    // −1 and 0 end a lock, as its expiry does; 1.5 is none of PEXPIRE's numbers.
    let milliseconds = prop_oneof![Just(600_000.0), Just(-1.0), Just(0.0), Just(1.5)];
    prop_oneof![
        4 => (key.clone(), id.clone()).prop_map(|(key, id)| Step::Acquire { key, id }),
        2 => (key.clone(), id.clone()).prop_map(|(key, id)| Step::Release { key, id }),
        2 => (key.clone(), id, milliseconds)
            .prop_map(|(key, id, milliseconds)| Step::Extend { key, id, milliseconds }),
        1 => key.prop_map(|key| Step::Read { key }),
    ]
}

/// What a store answers, in words that can be compared: a refusal by its code, because the
/// scripts' errors carry the server's wording.
async fn answer(store: &impl Backend, round: &str, step: &Step) -> String {
    let name = |key: &u8| Text::from(format!("{round}:{key}"));
    let text = |id: &u8| Text::from(format!("id{id}"));
    let answer = match step {
        Step::Acquire { key, id } => {
            store.acquire(&name(key), &text(id), &"ann".into(), TTL).await.map(|ok| ok.to_string())
        }
        Step::Release { key, id } => {
            store.release(&name(key), &text(id)).await.map(|ok| ok.to_string())
        }
        Step::Extend { key, id, milliseconds } => {
            store.extend(&name(key), &text(id), *milliseconds).await.map(|ok| ok.to_string())
        }
        Step::Read { key } => store.read(&name(key)).await.map(|holder| format!("{holder:?}")),
    };
    match answer {
        Ok(answer) => answer,
        Err(dist_lock::Error::Redis { code, .. }) => code,
        Err(error) => panic!("{step:?}: {error}"),
    }
}

#[test]
fn redis_answers_every_sequence_of_steps_as_the_memory_store_does() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redis = Redis::new(server.settings()).unwrap();
    let memory = Memory::default();
    let rounds = std::cell::Cell::new(0);

    let mut runner = TestRunner::new(Config { cases: 100, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        rounds.set(rounds.get() + 1);
        let keys = format!("round{}", rounds.get());
        runtime.block_on(async {
            for (number, step) in steps.iter().enumerate() {
                let specified = answer(&memory, &keys, step).await;
                let answered = answer(&redis, &keys, step).await;
                prop_assert_eq!(answered, specified, "step {}: {:?}", number, step);
            }
            Ok(())
        })
    });

    outcome.unwrap();
}

#[tokio::test]
async fn a_lock_ends_with_its_ttl_in_redis_too() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();
    assert!(
        redis
            .acquire(&"k".into(), &"a".into(), &"".into(), Duration::from_millis(40))
            .await
            .unwrap()
    );
    assert!(!redis.acquire(&"k".into(), &"b".into(), &"".into(), TTL).await.unwrap());

    while redis.read(&"k".into()).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert!(redis.acquire(&"k".into(), &"b".into(), &"".into(), TTL).await.unwrap());
    assert!(
        !redis.extend(&"k".into(), &"a".into(), 1000.0).await.unwrap(),
        "the first holder lost it"
    );
}
