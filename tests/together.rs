//! Several locks at once, or none of them: what is held, and what is left, when things go wrong; on a clock
//! that is paused.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::{Memory, Sharing, Text, Waiter};
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Error, Lock, Locker, Result};
use support::flaky::{Fate, Flaky};
use support::{takes, waiter};
use tokio::time::{Instant, advance, sleep, timeout};

const TTL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(100);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn process_on(memory: &Arc<Memory>) -> (Flaky, Arc<Locker<Flaky>>) {
    let store = Flaky::on(memory);
    (store.clone(), Arc::new(Locker::new(store, PATIENCE)))
}

async fn all(
    locker: &Locker<Flaky>,
    keys: &[&str],
    retries: Option<u32>,
    limit: Option<Duration>,
) -> Result<Option<Vec<Lock>>> {
    let schedule = Schedule::new(Duration::from_millis(50), retries, limit);
    let request = Acquire::new("".into(), "".into(), TTL, schedule);
    locker.acquire_all(keys.iter().map(|key| Text::from(*key)).collect(), request).await
}

/// Who holds `key`, by its id.
async fn holder(memory: &Arc<Memory>, key: &str) -> Option<String> {
    let holder = memory.clone().client().read(&key.into()).await.unwrap();
    holder.map(|holder| holder.id)
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_when_the_store_is_silent_and_nothing_is_left() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    store.set_for("all", [Fate::Silence]);
    let started = Instant::now();

    let outcome = all(&locker, &["a", "b"], None, Some(MOMENT)).await;

    assert!(matches!(outcome, Err(Error::Unknown(_))), "{outcome:?}");
    assert_eq!(started.elapsed(), MOMENT);
    sleep(MOMENT).await;
    assert_eq!((holder(&memory, "a").await, holder(&memory, "b").await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_taken_is_told_only_if_the_store_said_so() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    assert!(takes(&memory.clone().client(), "b", "x", TTL).await);
    assert_eq!(all(&locker, &["a", "b"], None, Some(MOMENT)).await, Ok(None));

    store.set_always(Fate::NotSent);
    let outcome = all(&locker, &["a", "b"], None, Some(MOMENT)).await;

    assert!(matches!(outcome, Err(Error::Unreachable(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_holds_none_of_those_that_a_lost_reply_may_have_granted() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    store.set_for("all", [Fate::ReplyLost]);
    let waiting = tokio::spawn(async move { all(&locker, &["a", "b"], None, None).await });
    while holder(&memory, "b").await.is_none() {
        tokio::task::yield_now().await;
    }
    let thief = memory.clone().client();
    thief.steal(&"b".into(), &waiter("thief", TTL)).await.unwrap();

    sleep(seconds(1)).await;

    assert_eq!(holder(&memory, "a").await, None);
    thief.release(&"b".into(), &"thief".into()).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_while_the_store_settles_is_not_told() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    store.set_for("all", [Fate::Late(MOMENT)]);
    let settling = store.clone();
    tokio::spawn(async move {
        sleep(MOMENT / 2).await;
        settling.settle(seconds(5));
    });
    let started = Instant::now();

    all(&locker, &["a", "b"], None, None).await.unwrap().unwrap();

    assert!(started.elapsed() >= seconds(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn while_the_store_settles_nobody_is_told_that_a_lock_is_taken() {
    for has_queue in [true, false] {
        let store = if has_queue { Flaky::default() } else { Flaky::classic() };
        let locker = Arc::new(Locker::new(store.clone(), PATIENCE));
        let ask = |timeout| {
            let schedule = Schedule::new(MOMENT, None, timeout);
            let locker = locker.clone();
            let request = Acquire::new("a".into(), "".into(), TTL, schedule);
            tokio::spawn(async move { locker.acquire(request).await })
        };
        // It takes the lock in the store, and is not told.
        store.set_for("acquire", [Fate::Late(MOMENT), Fate::Late(MOMENT)]);
        let patient = ask(None);
        let hasty = ask(Some(Duration::ZERO));
        let several = tokio::spawn({
            let (store, locker) = (store.clone(), locker.clone());
            store.set_for("all", [Fate::Late(MOMENT)]);
            async move { all(&locker, &["a", "b"], Some(0), None).await }
        });
        sleep(MOMENT / 2).await;
        // Longer than they bear it.
        store.settle(2 * PATIENCE);

        for refused in [hasty.await.unwrap().map(drop), several.await.unwrap().map(drop)] {
            assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
        }
        assert!(patient.await.unwrap().unwrap().is_some());
        assert_eq!(ask(Some(Duration::ZERO)).await.unwrap(), Ok(None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_stolen_while_the_store_settles_is_not_told_either() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    store.set_for("steal", [Fate::Late(MOMENT)]);
    let settling = store.clone();
    tokio::spawn(async move {
        sleep(MOMENT / 2).await;
        settling.settle(seconds(5));
    });
    let started = Instant::now();
    let schedule = Schedule::new(MOMENT, None, None);
    let request = Acquire { steal: true, ..Acquire::new("a".into(), "".into(), TTL, schedule) };

    locker.acquire(request).await.unwrap().unwrap();

    assert!(started.elapsed() >= seconds(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_one_who_steals_is_kept() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    store.set_for("steal", [Fate::Silence]);
    let schedule = Schedule::new(MOMENT, None, Some(MOMENT));
    let request = Acquire { steal: true, ..Acquire::new("a".into(), "".into(), TTL, schedule) };

    let outcome = timeout(seconds(60), locker.acquire(request)).await;

    assert!(matches!(outcome, Ok(Err(Error::Unknown(_)))), "{outcome:?}");
    sleep(MOMENT).await;
    assert_eq!(holder(&memory, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_which_nobody_lives_keeps_nobody_out() {
    let memory = Arc::<Memory>::default();
    let gone = memory.clone().client();
    let _messages = gone.subscribe().await.unwrap();
    assert!(takes(&memory.clone().client(), "a", "x", seconds(4)).await);
    gone.acquire(&"a".into(), &waiter("gone", TTL), true).await.unwrap();
    advance(seconds(5)).await;
    let (_, locker) = process_on(&memory);

    assert!(all(&locker, &["a", "b"], Some(0), None).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_live_waiter_before_a_free_lock_is_given_it() {
    let memory = Arc::<Memory>::default();
    let first = memory.clone().client();
    let _messages = first.subscribe().await.unwrap();
    assert!(takes(&memory.clone().client(), "b", "x", seconds(2)).await);
    first.acquire(&"b".into(), &waiter("first", TTL), true).await.unwrap();
    advance(seconds(2)).await;
    let (_, locker) = process_on(&memory);

    assert_eq!(all(&locker, &["a", "b"], Some(0), None).await, Ok(None));

    assert_eq!(holder(&memory, "b").await.as_deref(), Some("first"));
    assert_eq!(holder(&memory, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn shares_that_are_over_keep_nobody_out() {
    let memory = Arc::<Memory>::default();
    let others = memory.clone().client();
    let share = |id: &str, ttl| Waiter { sharing: Sharing::Shared, ..waiter(id, ttl) };
    others.acquire(&"a".into(), &share("long", TTL), false).await.unwrap();
    others.acquire(&"a".into(), &share("short", seconds(1)), false).await.unwrap();
    others.release(&"a".into(), &"long".into()).await.unwrap();
    advance(seconds(2)).await;
    let (_, locker) = process_on(&memory);

    assert!(all(&locker, &["a", "b"], Some(0), None).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_who_is_handed_the_first_and_waits_for_the_next_holds_up_nobody_of_its_process() {
    let memory = Arc::<Memory>::default();
    let (store, locker) = process_on(&memory);
    let others = memory.clone().client();
    assert!(takes(&others, "a", "x", TTL).await && takes(&others, "b", "x", TTL).await);
    // "a" is free just when it is asked for alone, which is before messages reach the process.
    store.set_for("all", [Fate::Late(MOMENT)]);
    let several = locker.clone();
    let several = tokio::spawn(async move { all(&several, &["a", "b"], None, None).await });
    sleep(MOMENT / 2).await;
    others.release(&"a".into(), &"x".into()).await.unwrap();
    sleep(MOMENT).await;

    let schedule = Schedule::new(MOMENT, None, None);
    assert!(takes(&others, "c", "x", TTL).await);
    let lone = locker.clone();
    let request = Acquire::new("c".into(), "".into(), TTL, schedule);
    let lone = tokio::spawn(async move { lone.acquire(request).await });
    sleep(seconds(1)).await;
    others.release(&"c".into(), &"x".into()).await.unwrap();

    let lone = timeout(seconds(5), lone).await.expect("it is held up");
    assert!(lone.unwrap().unwrap().is_some() && !several.is_finished());
    others.release(&"b".into(), &"x".into()).await.unwrap();
    assert!(several.await.unwrap().unwrap().is_some());
}
