//! Processes that die while they hold a lock or wait for one, on a clock that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::CLAIM;
use dist_lock::holds::State;
use support::process::{BEAT, TTL, id_of, milliseconds, processes, wait_of};
use support::sharing::{EXCLUSIVE, SHARED, permits};
use tokio::time::{Instant, sleep};

/// A process is taken to be alive for this long after its last beat.
const ALIVE: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_holder_that_died_is_noticed_when_its_lock_expires() {
    let [first, second] = processes();
    let taken = Instant::now();
    first.holds(milliseconds(7300)).await;
    let waiter = second.queues().await;
    first.store.die();

    id_of(waiter).await;

    let waited = taken.elapsed();
    let expected = milliseconds(7300)..=milliseconds(7310);
    assert!(expected.contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn each_waiter_that_died_unnoticed_costs_at_most_one_claim() {
    let [first, second, third, last] = processes();
    let holder = first.holds(TTL).await;
    let _dead = [second.queues().await, third.queues().await];
    let waiter = last.queues().await;
    second.store.die();
    third.store.die();

    first.release(&holder).await;

    let waited = wait_of(waiter).await;
    assert!(waited <= 2 * CLAIM + milliseconds(10), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn waiters_that_died_long_ago_cost_nothing() {
    let [first, second, last] = processes();
    let holder = first.holds(TTL).await;
    let _dead = second.queues().await;
    let waiter = last.queues().await;
    second.store.die();
    sleep(4 * BEAT).await;

    first.release(&holder).await;

    assert_eq!(wait_of(waiter).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_a_holder_that_died_goes_to_the_first_who_waits_at_its_end() {
    let [dying, living, waiting] = processes();
    dying.holds_as(permits(2)).await;
    sleep(5 * BEAT).await;
    let other = living.holds_as(permits(2)).await;
    let waiters = [waiting.queues_as(permits(2)).await, waiting.queues_as(permits(2)).await];
    dying.store.die();
    let [first, second] = waiters;

    let waited = wait_of(first).await;

    assert!(waited <= TTL - 5 * BEAT + milliseconds(5), "{waited:?}");
    assert_eq!(living.state(&other), State::Held);
    assert!(!second.is_finished(), "the other share has not ended");
    assert!(wait_of(second).await <= 5 * BEAT);
}

#[tokio::test(start_paused = true)]
async fn a_writer_has_the_lock_when_the_last_reader_that_died_is_over() {
    let [dying, waiting] = processes();
    for ttl in [3, 9, 5] {
        id_of(dying.asks_as(SHARED, ttl * BEAT, None)).await;
    }
    let writer = waiting.queues_as(EXCLUSIVE).await;
    dying.store.die();

    let waited = wait_of(writer).await;

    assert!((8 * BEAT..=9 * BEAT).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn shares_that_end_one_after_the_other_hold_nobody_up_for_long() {
    let [dying, living, waiting] = processes();
    let share = living.holds_as(SHARED).await;
    for number in 0..1000 {
        id_of(dying.asks_as(SHARED, 3 * BEAT + milliseconds(number), None)).await;
    }
    let writer = waiting.queues_as(EXCLUSIVE).await;
    dying.store.die();
    sleep(2 * BEAT).await;
    living.release(&share).await;

    let waited = wait_of(writer).await;

    assert!((BEAT..=2 * BEAT + milliseconds(60)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_died_in_the_queue_holds_readers_up_no_longer_than_it_is_taken_to_be_alive() {
    let [first, dying, third] = processes();
    let _reader = first.holds_as(SHARED).await;
    let _writer = dying.queues_as(EXCLUSIVE).await;
    let late = third.queues_as(SHARED).await;
    dying.store.die();

    let waited = wait_of(late).await;

    assert!(waited <= ALIVE + BEAT + milliseconds(5), "{waited:?}");
    assert!(third.gets_as(SHARED).await);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_gets_a_share_though_the_dead_stand_before_it() {
    let [first, dying, third] = processes();
    let _reader = first.holds_as(SHARED).await;
    for _ in 0..3 {
        let _writer = dying.queues_as(EXCLUSIVE).await;
    }
    dying.store.die();

    assert!(!third.gets_as(SHARED).await, "nobody knows yet");
    sleep(ALIVE).await;

    assert!(third.gets_as(SHARED).await);
    assert!(!third.gets_as(EXCLUSIVE).await);
}

#[tokio::test(start_paused = true)]
async fn hundreds_who_died_in_the_queue_cost_the_others_no_beat_each() {
    let [first, dying, third] = processes();
    let _reader = first.holds_as(SHARED).await;
    for _ in 0..500 {
        dying.asks_as(EXCLUSIVE, TTL, None);
    }
    sleep(milliseconds(10)).await;
    dying.store.die();
    dying.store.lose_subscription();
    let late = third.queues_as(SHARED).await;

    let waited = wait_of(late).await;

    assert!(waited <= ALIVE + BEAT + milliseconds(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_nobody_takes_goes_to_the_next_after_two_seconds() {
    let [first, dying, third] = processes();
    let holder = first.holds_as(permits(1)).await;
    let _dead = dying.queues_as(permits(1)).await;
    let waiter = third.queues_as(permits(1)).await;
    dying.store.die();
    first.release(&holder).await;

    let waited = wait_of(waiter).await;

    assert!(waited <= CLAIM + milliseconds(5), "{waited:?}");
}
