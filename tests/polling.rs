//! The rules of one call where there is no queue, over a store whose answers go astray, on a clock
//! that is paused.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Lock, Locker, Result};
use support::flaky::{Fate, Flaky};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

const TTL: Duration = Duration::from_secs(30);
const DELAY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

fn locker() -> (Flaky, Arc<Locker<Flaky>>) {
    let store = Flaky::classic();
    (store.clone(), Arc::new(Locker::new(store, PATIENCE)))
}

fn request(retries: Option<u32>, timeout: Option<Duration>) -> Acquire {
    let schedule = Schedule::new(DELAY, retries, timeout);
    let (key, owner) = ("k".into(), "".into());
    Acquire::new(key, owner, TTL, schedule)
}

fn start(locker: &Arc<Locker<Flaky>>, request: Acquire) -> JoinHandle<Result<Option<Lock>>> {
    let locker = locker.clone();
    tokio::spawn(async move { locker.acquire(request).await })
}

async fn hold(locker: &Locker<Flaky>) -> Arc<str> {
    locker.acquire(request(None, None)).await.unwrap().expect("it is free").id
}

#[tokio::test(start_paused = true)]
async fn n_retries_make_n_plus_one_tries_and_end_on_time() {
    let (store, locker) = locker();
    hold(&locker).await;
    let started = Instant::now();

    assert_eq!(locker.acquire(request(Some(3), None)).await, Ok(None));

    assert_eq!(started.elapsed(), DELAY * 3);
    assert_eq!(store.steps().len(), 1 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_starts_late_makes_all_its_tries_nevertheless() {
    let (store, locker) = locker();
    hold(&locker).await;
    let request = request(Some(3), None);
    sleep(DELAY * 2).await;

    assert_eq!(locker.acquire(request).await, Ok(None));

    assert_eq!(store.steps().len(), 1 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_lock_when_it_expires() {
    let (_, locker) = locker();
    hold(&locker).await;
    let started = Instant::now();

    let lock = locker.acquire(request(None, None)).await.unwrap().unwrap();

    assert!((TTL..=TTL + DELAY).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(lock.waited, started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_release_in_the_same_process_is_not_waited_for_until_the_next_try() {
    let (_, locker) = locker();
    let id = hold(&locker).await;
    let waiter = start(&locker, request(None, None));
    sleep(DELAY / 2).await;
    let released = Instant::now();

    locker.release(&"k".into(), &id).await.unwrap();

    assert!(waiter.await.unwrap().unwrap().is_some());
    assert_eq!(released.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_order_of_arrival_and_only_the_first_asks() {
    let (store, locker) = locker();
    let mut holder = hold(&locker).await;
    let waiters: Vec<_> = (0..100).map(|_| start(&locker, request(None, None))).collect();
    sleep(DELAY * 10).await;
    let polls = store.steps().len();
    assert!(polls <= 12, "{polls} steps for 100 waiters over ten delays");

    for waiter in waiters {
        locker.release(&"k".into(), &holder).await.unwrap();
        holder = waiter.await.unwrap().unwrap().unwrap().id;
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_hands_its_place_to_the_next() {
    let (_, locker) = locker();
    let id = hold(&locker).await;
    let first = start(&locker, request(None, None));
    let second = start(&locker, request(None, None));
    sleep(DELAY).await;

    first.abort();
    locker.release(&"k".into(), &id).await.unwrap();

    assert!(second.await.unwrap().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_asks_once_behind_others_is_told_what_the_first_is_told() {
    let (store, locker) = locker();
    hold(&locker).await;
    let waiter = start(&locker, request(None, None));
    sleep(DELAY / 2).await;
    let before = Instant::now();

    assert_eq!(locker.acquire(request(Some(0), None)).await, Ok(None));
    assert_eq!(before.elapsed(), Duration::ZERO, "without waiting for the next try");
    store.set([Fate::Refused; 2]);
    let error = locker.acquire(request(Some(0), None)).await.unwrap_err();

    assert_eq!(error.code(), "ERR_LOCK_REDIS", "a refusal is not passed off as taken");
    waiter.abort();
}

#[tokio::test(start_paused = true)]
async fn who_has_little_time_behind_others_is_told_that_it_is_taken() {
    let (_, locker) = locker();
    hold(&locker).await;
    let waiter = start(&locker, request(None, None));
    sleep(DELAY / 2).await;

    assert_eq!(locker.acquire(request(None, Some(DELAY / 10))).await, Ok(None));

    waiter.abort();
}

#[tokio::test(start_paused = true)]
async fn who_asks_once_does_not_take_an_answer_from_before_it_asked() {
    let (store, locker) = locker();
    let id = hold(&locker).await;
    store.set([Fate::Late(DELAY)]);
    let first = start(&locker, request(Some(0), None));
    sleep(DELAY / 2).await;

    locker.release(&"k".into(), &id).await.unwrap();
    let second = start(&locker, request(Some(0), None));

    assert_eq!(first.await.unwrap(), Ok(None));
    assert!(second.await.unwrap().unwrap().is_some(), "it asked after the release");
}

#[tokio::test(start_paused = true)]
async fn an_acquire_whose_reply_was_lost_finds_its_own_lock() {
    let (store, locker) = locker();
    store.set([Fate::ReplyLost]);

    let lock = locker.acquire(request(Some(0), None)).await.unwrap().expect("it is ours");

    let ours = format!("acquire {}", lock.id);
    assert_eq!(store.steps(), [ours.clone(), ours]);
}

#[tokio::test(start_paused = true)]
async fn an_acquire_that_failed_leaves_no_lock_behind() {
    let (store, locker) = locker();
    store.set([Fate::Silence]);

    let error = locker.acquire(request(None, Some(DELAY))).await.unwrap_err();
    sleep(DELAY).await;

    assert_eq!(error.code(), "ERR_LOCK_UNKNOWN");
    assert_eq!(store.read(&"k".into()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_while_it_is_granted_leaves_no_lock_behind() {
    let (store, locker) = locker();
    store.set([Fate::Late(DELAY)]);
    let caller = start(&locker, request(None, None));
    sleep(DELAY / 2).await;
    assert!(store.read(&"k".into()).await.unwrap().is_some(), "it was granted");

    caller.abort();
    sleep(DELAY).await;

    assert_eq!(store.read(&"k".into()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn undoing_goes_on_until_the_release_is_confirmed() {
    let (store, locker) = locker();
    store.set([Fate::Silence, Fate::NotSent, Fate::NotSent, Fate::NotSent]);
    locker.acquire(request(None, Some(DELAY))).await.unwrap_err();

    sleep(Duration::from_secs(5)).await;

    assert_eq!(store.read(&"k".into()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn undoing_does_not_take_longer_for_a_long_outage() {
    let (store, locker) = locker();
    store.set([Fate::Silence, Fate::NotSent, Fate::NotSent, Fate::NotSent, Fate::NotSent]);
    locker.acquire(request(None, Some(DELAY))).await.unwrap_err();
    while store.steps().len() < 5 {
        sleep(DELAY).await;
    }

    sleep(Duration::from_secs(1)).await;

    assert_eq!(store.read(&"k".into()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_arrives_when_it_is_over_is_not_returned() {
    let (store, locker) = locker();
    store.set([Fate::Late(TTL)]);

    assert_eq!(locker.acquire(request(Some(0), None)).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_whatever_the_server_does() {
    for fate in [Fate::Silence, Fate::NotSent, Fate::ReplyLost, Fate::Late(TTL)] {
        let (store, locker) = locker();
        store.set([fate; 1000]);
        let started = Instant::now();

        let outcome = locker.acquire(request(None, Some(DELAY * 4))).await;

        assert!(outcome.is_err(), "{fate:?} was answered with {outcome:?}");
        assert_eq!(started.elapsed(), DELAY * 4, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_of_tries_bounds_the_wait_for_a_silent_server() {
    let (store, locker) = locker();
    store.set([Fate::Silence]);
    let started = Instant::now();

    locker.acquire(request(Some(4), None)).await.unwrap_err();

    assert_eq!(started.elapsed(), DELAY * 4 + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_the_patience_is_not_noticed() {
    let (store, locker) = locker();
    store.set([Fate::NotSent; 8]);

    assert!(locker.acquire(request(None, None)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_the_patience_is_an_error_and_not_a_taken_lock() {
    let (store, locker) = locker();
    store.set([Fate::NotSent; 1000]);
    let started = Instant::now();

    let error = locker.acquire(request(None, None)).await.unwrap_err();

    assert_eq!(error.code(), "ERR_LOCK_UNREACHABLE");
    assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_all_callers_of_a_line_at_the_same_time() {
    let (store, locker) = locker();
    store.set([Fate::NotSent; 10_000]);
    let started = Instant::now();
    let callers: Vec<_> = (0..100).map(|_| start(&locker, request(None, None))).collect();

    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap_err().code(), "ERR_LOCK_UNREACHABLE");
    }

    assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_caller_in_trouble_is_not_told_that_it_is_taken() {
    let (store, locker) = locker();
    hold(&locker).await;
    let first = start(&locker, request(None, None));
    let second = start(&locker, request(None, Some(DELAY * 4)));
    sleep(DELAY * 2).await;

    store.set([Fate::NotSent; 1000]);

    assert_eq!(second.await.unwrap().unwrap_err().code(), "ERR_LOCK_UNREACHABLE");
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn undoing_a_grant_that_came_too_late_spares_the_next_one() {
    let (store, locker) = locker();
    // The grant is late, and so is the answer to its release: that is repeated for a while.
    store.set([Fate::Late(TTL), Fate::ReplyLost]);

    let lock = locker.acquire(request(None, None)).await.unwrap().expect("the second try");
    sleep(TTL - DELAY).await;

    assert_eq!(
        store.read(&"k".into()).await.unwrap().map(|holder| holder.id),
        Some(lock.id.to_string())
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_every_call_at_once() {
    let (store, locker) = locker();
    let key = "k".into();

    store.set([Fate::Refused; 4]);
    let started = Instant::now();
    let codes = [
        locker.acquire(request(None, None)).await.unwrap_err().code(),
        locker.release(&key, &"c1".into()).await.unwrap_err().code(),
        locker.extend(&"k".into(), &"c1".into(), 1000.0).await.unwrap_err().code(),
        locker.read(&"k".into()).await.unwrap_err().code(),
    ];

    assert_eq!(codes, ["ERR_LOCK_REDIS"; 4]);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_reply_was_lost_does_not_claim_that_the_lock_was_not_ours() {
    let (store, locker) = locker();
    let id = hold(&locker).await;
    store.set([Fate::ReplyLost]);

    let error = locker.release(&"k".into(), &id).await.unwrap_err();

    assert_eq!(error.code(), "ERR_LOCK_UNKNOWN");
    assert_eq!(store.read(&"k".into()).await, Ok(None), "but it is free");
}

#[tokio::test(start_paused = true)]
async fn release_and_extend_act_on_their_own_id_only() {
    let (store, locker) = locker();
    let id = hold(&locker).await;

    assert_eq!(locker.release(&"k".into(), &"another".into()).await, Ok(false));
    assert_eq!(locker.extend(&"k".into(), &"another".into(), 1.0).await, Ok(false));
    advance(TTL - DELAY).await;

    assert_eq!(
        store.read(&"k".into()).await.unwrap().map(|holder| holder.id),
        Some(id.to_string())
    );
}
