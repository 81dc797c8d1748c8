//! What faults cost those who wait: lost messages and answers, lost subscriptions, silent servers and
//! servers that forget; on a clock that is paused.

mod support;

use dist_lock::backend::Waiter;
use dist_lock::{Backend, Error};
use support::flaky::Fate;
use support::process::{
    BEAT, KEY, PATIENCE, TTL, id_of, milliseconds, processes, wait_of, wait_of_all,
};
use support::sharing::{EXCLUSIVE, SHARED};
use support::takes;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn a_lost_message_costs_at_most_one_beat() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    sleep(BEAT / 10).await;
    second.store.lose_messages(true);

    first.release(&holder).await;

    let waited = wait_of(waiter).await;
    assert!((milliseconds(1)..=BEAT).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_message_costs_a_waiter_with_a_short_ttl_at_most_half_of_it() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.asks(milliseconds(400), None);
    sleep(milliseconds(10)).await;
    second.store.lose_messages(true);

    first.release(&holder).await;

    let waited = wait_of(waiter).await;
    assert!(waited <= milliseconds(200), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn when_the_store_forgets_everything_the_waiters_of_a_process_queue_again_in_order() {
    let [first, second] = processes();
    first.holds(TTL).await;
    let mut waiters = Vec::new();
    for _ in 0..5 {
        waiters.push(second.queues().await);
    }

    first.store.memory().clear();
    assert!(takes(&first.store, KEY, "another", TTL).await);
    sleep(2 * BEAT).await;
    first.release(&"another".into()).await;

    for waiter in waiters {
        let id = timeout(BEAT, id_of(waiter)).await.expect("in order");
        second.release(&id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_the_store_forgot_asks_again_though_one_before_it_is_heard_of_meanwhile() {
    let [first, second] = processes();
    first.holds(TTL).await;
    second.queues().await.abort();
    second.store.set_for("acquire", [Fate::Late(BEAT + BEAT / 2)]);
    let _before = second.queues().await;
    let _forgotten = second.queues().await;
    let asked = second.store.steps().pop().unwrap();
    let id = asked.split_once(' ').unwrap().1.into();
    second.store.abandon(&KEY.into(), &Waiter::only(id, TTL)).await.unwrap();
    second.store.set_for("beat", [Fate::Late(BEAT)]);

    sleep(3 * BEAT).await;

    assert_eq!(second.store.count(&asked), 2, "{:?}", second.store.steps());
}

#[tokio::test(start_paused = true)]
async fn when_the_store_forgets_everything_a_waiter_has_the_lock_within_a_beat() {
    let [first, second] = processes();
    first.holds(TTL).await;
    let waiter = second.queues().await;

    first.store.memory().clear();

    let waited = wait_of(waiter).await;
    assert!(waited <= BEAT, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_subscription_is_renewed_and_the_first_beat_finds_what_was_missed() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;

    second.store.lose_subscription();
    first.release(&holder).await;

    let waited = wait_of(waiter).await;
    assert!(waited <= BEAT, "{waited:?}");
    assert_eq!(second.store.subscriptions(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_subscription_was_lost_keeps_its_place() {
    let [first, second, third] = processes();
    let holder = first.holds(TTL).await;
    let before = second.queues().await;
    let after = third.queues().await;

    second.store.lose_subscription();
    sleep(BEAT).await;
    first.release(&holder).await;

    let id = timeout(BEAT, id_of(before)).await.expect("it is first");
    assert!(!after.is_finished());
    second.release(&id).await;
    id_of(after).await;
}

#[tokio::test(start_paused = true)]
async fn a_waiter_bears_an_outage_that_is_shorter_than_its_patience() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    second.store.set_always(Fate::NotSent);
    second.store.lose_messages(true);
    sleep(PATIENCE / 2).await;
    first.release(&holder).await;

    second.store.set_always(Fate::Answered);

    let waited = wait_of(waiter).await;
    assert!(waited <= BEAT + milliseconds(10), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_fails_when_the_store_is_out_of_reach_for_longer_than_its_patience() {
    let [first, second] = processes();
    first.holds(2 * TTL).await;
    let waiter = second.queues().await;
    second.store.set_always(Fate::NotSent);
    let out = Instant::now();

    let failure = waiter.await.unwrap().unwrap_err();

    assert!(matches!(failure, Error::Unreachable(_)), "{failure}");
    assert!(out.elapsed() <= PATIENCE + 2 * BEAT, "{:?}", out.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_is_over_makes_no_wait_that_ends_without_the_lock_an_error() {
    let [first, second] = processes();
    first.holds(TTL).await;
    let leaves = second.queues().await;
    second.store.set_always(Fate::NotSent);
    sleep(2 * BEAT).await;
    leaves.abort();
    sleep(milliseconds(1)).await;

    second.store.set_always(Fate::Answered);

    assert_eq!(second.asks(TTL, Some(BEAT / 4)).await.unwrap(), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_time_though_the_store_is_out_of_reach() {
    let [first, second] = processes();
    first.holds(TTL).await;
    let began = Instant::now();
    let waiter = second.asks(TTL, Some(3 * BEAT));
    sleep(milliseconds(1)).await;
    second.store.set_always(Fate::NeverSent);

    let _ = waiter.await.unwrap();

    let waited = began.elapsed();
    assert!((3 * BEAT..=3 * BEAT + milliseconds(2)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn shares_that_were_granted_by_lost_messages_are_all_known_within_a_beat() {
    let [first, second] = processes();
    second.listens().await;
    let writer = first.holds_as(EXCLUSIVE).await;
    let readers: Vec<_> = (0..40).map(|_| second.asks_as(SHARED, TTL, None)).collect();
    sleep(2 * BEAT).await;
    second.store.lose_messages(true);
    first.release(&writer).await;

    let waited = wait_of_all(readers).await;

    assert!(waited <= BEAT + milliseconds(100), "{waited:?}");
    assert_eq!(second.store.count("acquire"), 40, "nobody had to ask again");
}

#[tokio::test(start_paused = true)]
async fn shares_that_were_granted_by_a_release_without_an_answer_are_all_known_within_a_beat() {
    let [process] = processes();
    let writer = process.holds_as(EXCLUSIVE).await;
    let readers: Vec<_> = (0..40).map(|_| process.asks_as(SHARED, TTL, None)).collect();
    sleep(milliseconds(1)).await;
    process.store.set_for("release", [Fate::Silence]);
    let locker = process.locker.clone();
    let _releases = tokio::spawn(async move { locker.release(&KEY.into(), &writer).await });

    let waited = wait_of_all(readers).await;

    assert!(waited <= BEAT + milliseconds(100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_share_granted_by_a_lost_message_is_known_within_a_beat_also_to_who_heard_late_that_it_waits()
 {
    let [first, second, third] = processes();
    second.listens().await;
    let writer = first.holds_as(EXCLUSIVE).await;
    let other = third.queues_as(SHARED).await;
    second.store.set_for("acquire", [Fate::Late(milliseconds(100))]);
    let reader = second.queues_as(SHARED).await;
    let next = second.queues_as(EXCLUSIVE).await;
    sleep(2 * BEAT).await;
    second.store.lose_messages(true);
    first.release(&writer).await;
    id_of(other).await;

    let waited = wait_of(reader).await;

    assert!(waited <= BEAT + milliseconds(5), "{waited:?}");
    assert!(!next.is_finished(), "others read");
}
