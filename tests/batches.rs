//! Steps that leave together answer what they would have answered one after the other.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dist_lock::Backend;
use dist_lock::backend::memory::Memory;
use dist_lock::backend::{
    Acquired, Beat, Held, Redis, Released, Sharing, Text, Token, View, Waiter,
};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::server::Server;

/// No lock ends by itself.
const TTLS: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(900)];
const OWNERS: [&str; 2] = ["", "ann"];

#[derive(Debug, Clone)]
enum Step {
    Acquire { wait: bool },
    Release,
    Extend { milliseconds: f64 },
    Abandon,
    Beat,
    Read,
}

/// A step, on a key, by a caller.
type Asked = (Step, usize, usize);

fn asked() -> impl Strategy<Value = Asked> {
    // What a number that is not whole asks for fails.
    let milliseconds = prop_oneof![Just(900_000.0), Just(0.0), Just(1.5)];
    let step = prop_oneof![
        40 => prop::bool::weighted(0.3).prop_map(|wait| Step::Acquire { wait }),
        30 => Just(Step::Release),
        10 => milliseconds.prop_map(|milliseconds| Step::Extend { milliseconds }),
        5 => Just(Step::Abandon),
        5 => Just(Step::Beat),
        5 => Just(Step::Read),
    ];
    (step, 0..30usize, 0..3usize)
}

/// What came of a step: words, and the token of a lock with its id.
type Said = (String, Option<(Text, Token)>);

async fn take(store: &impl Backend, (step, key, caller): &Asked) -> Said {
    let key = Text::from(format!("k{key}"));
    // Of one who calls often the owner and the ttl are the same.
    let waiter = Waiter {
        id: format!("{key}-{caller}").into(),
        owner: OWNERS[caller % 2].into(),
        ttl: TTLS[caller / 2],
        sharing: Sharing::Exclusive,
    };
    let id = &waiter.id;
    let said = match step {
        Step::Acquire { wait } => store.acquire(&key, &waiter, *wait).await.map(|it| match it {
            Acquired::Held(token) => ("held".into(), token.map(|token| (id.clone(), token))),
            Acquired::Waits(seen, _) => view("waits", seen),
            other => (format!("{other:?}"), None),
        }),
        Step::Release => store.release(&key, id).await.map(released),
        Step::Extend { milliseconds } => store.extend(&key, id, *milliseconds).await.map(released),
        Step::Abandon => store.abandon(&key, &waiter).await.map(released),
        Step::Beat => store.beat(&key, &waiter, TTLS[0]).await.map(|it| match it {
            Beat::Known(seen) => view("known", seen),
            Beat::Lost(seen) => view("lost", seen),
            Beat::NoQueue => ("no queue".into(), None),
        }),
        Step::Read => store
            .read(&key)
            .await
            .map(|holder| (format!("{:?}", holder.map(|holder| (holder.id, holder.owner))), None)),
    };
    said.unwrap_or_else(|error| (error.code().into(), None))
}

fn released(released: Released) -> Said {
    match released {
        Released::HandedOn(mut to) => {
            ("handed on".into(), to.pop().map(|handed| (handed.id, handed.token)))
        }
        other => (format!("{other:?}"), None),
    }
}

fn view(place: &str, View { held, left, .. }: View) -> Said {
    let minutes = left.map(|left| (left.as_secs_f64() / 60.0).round());
    match held {
        Held::Ours(by) => (format!("{place}, held for {minutes:?}"), Some((by.id, by.token))),
        other => (format!("{place}, {other:?} for {minutes:?}"), None),
    }
}

/// The words, and the number of the token among those of its lock; a new one is larger than all
/// before it.
fn numbered(said: impl IntoIterator<Item = Said>) -> Vec<(String, Option<(Text, usize)>)> {
    let mut known: HashMap<Text, Vec<Token>> = HashMap::new();
    let mut largest = 0;
    let mut number = |(id, token): (Text, Token)| {
        let tokens = known.entry(id.clone()).or_default();
        if !tokens.contains(&token) {
            assert!(token > largest, "{token} of {id} after {largest}");
            largest = token;
            tokens.push(token);
        }
        (id, tokens.len())
    };
    said.into_iter().map(|(words, token)| (words, token.map(&mut number))).collect()
}

#[test]
fn what_leaves_together_is_carried_out_in_order_and_a_failure_ends_only_its_own_step() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redis = Redis::new(server.settings()).unwrap();

    let mut runner =
        TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(asked(), 1..300), |steps| {
        server.ask::<()>(&["FLUSHDB"]);
        let memory = Arc::<Memory>::default().client();
        let (together, in_turn) = runtime.block_on(async {
            let mut in_turn = Vec::new();
            for step in &steps {
                in_turn.push(take(&memory, step).await);
            }
            (join_all(steps.iter().map(|step| take(&redis, step))).await, in_turn)
        });
        prop_assert_eq!(numbered(together), numbered(in_turn));
        Ok(())
    });
    outcome.unwrap();
}
