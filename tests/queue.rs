//! Waiting in the queue of a store, by one process and by several, on a clock that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::Mode;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Error};
use support::flaky::Flaky;
use support::process::{
    BEAT, DELAY, KEY, Process, TTL, Waiting, beats_in, id_of, left_in, milliseconds, processes,
    wait_of,
};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn waiters_of_one_process_are_served_in_order_of_arrival() {
    let [process] = processes();
    let mut holder = process.holds(TTL).await;
    let waiters: Vec<Waiting> = (0..50).map(|_| process.waits()).collect();
    sleep(BEAT).await;

    for waiter in waiters {
        assert!(!waiter.is_finished());
        process.release(&holder).await;
        holder = id_of(waiter).await;
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_of_several_processes_are_served_in_order_of_arrival_and_without_a_gap() {
    let processes: [Process; 4] = processes();
    let mut holder = (0, processes[0].holds(TTL).await);
    let mut waiters = Vec::new();
    for turn in [2, 1, 3, 0, 0, 3, 1, 2, 2, 0] {
        waiters.push((turn, processes[turn].queues().await));
    }
    sleep(3 * BEAT).await;

    for (process, waiter) in waiters {
        let released = Instant::now();
        processes[holder.0].release(&holder.1).await;
        holder = (process, id_of(waiter).await);
        assert_eq!(released.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_comer_does_not_pass_those_who_wait() {
    let [first, second, third] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    first.release(&holder).await;

    assert_eq!(third.asks(TTL, Some(Duration::ZERO)).await.unwrap(), Ok(None));

    id_of(waiter).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_beats_once_per_key_however_many_wait() {
    let [holder, waiting] = processes();
    holder.holds(TTL).await;
    let _waiters: Vec<Waiting> = (0..100).map(|_| waiting.waits()).collect();
    sleep(milliseconds(1)).await;
    let acquires = waiting.store.count("acquire");

    sleep(10 * BEAT).await;

    let beats = waiting.store.count("beat");
    assert!((9..=11).contains(&beats), "{beats} beats in ten seconds");
    assert_eq!(waiting.store.count("acquire"), acquires);
}

#[tokio::test(start_paused = true)]
async fn a_process_beats_no_more_often_than_those_ask_for_who_still_wait() {
    let [holder, waiting] = processes();
    holder.holds(TTL).await;
    let _waiter = waiting.queues().await;
    let hasty = waiting.asks(milliseconds(20), Some(BEAT));
    assert_eq!(hasty.await.unwrap(), Ok(None));
    let before = waiting.store.count("beat");
    assert!(before > 50, "{before} beats for a lock of 20 ms");

    let beats = beats_in(&waiting, 10 * BEAT).await;

    assert!((9..=12).contains(&beats), "{beats} beats in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_between_processes_costs_two_steps() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    let before = (first.store.steps().len(), second.store.steps().len());

    first.release(&holder).await;
    let id = id_of(waiter).await;
    second.release(&id).await;

    let steps = (first.store.steps().len() - before.0, second.store.steps().len() - before.1);
    assert_eq!(steps, (1, 1), "two releases, and the first was the other's grant");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_runs_out_of_time_leaves_the_queue() {
    let [first, second, third] = processes();
    let holder = first.holds(TTL).await;
    let impatient = second.asks(TTL, Some(BEAT));
    sleep(milliseconds(1)).await;
    let patient = third.queues().await;

    assert_eq!(impatient.await.unwrap(), Ok(None));
    sleep(milliseconds(1)).await;
    let released = Instant::now();
    first.release(&holder).await;

    id_of(patient).await;
    assert_eq!(released.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_aborted_leaves_nothing_behind() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;

    waiter.abort();
    sleep(milliseconds(1)).await;
    first.release(&holder).await;

    let left = left_in(first.store.memory()).await;
    assert!(left.contains("by_key: {}"), "{left}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_shortens_its_lock_wakes_the_first_waiter() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    sleep(BEAT / 10).await;

    first.locker.extend(&KEY.into(), &holder, 100.0).await.unwrap();

    let waited = wait_of(waiter).await;
    assert!((milliseconds(100)..=milliseconds(110)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_last_try() {
    let [first, second] = processes();
    first.holds(TTL).await;
    let began = Instant::now();

    let schedule = Schedule::new(DELAY, Some(10), None);
    let (key, owner) = (KEY.into(), "".into());
    let request = Acquire::new(key, owner, TTL, schedule);

    assert_eq!(second.locker.acquire(request).await, Ok(None));
    let waited = began.elapsed();
    assert!((10 * DELAY..=10 * DELAY + milliseconds(2)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_queue_is_asked_again_and_again() {
    let store = Flaky::classic();
    let process = Process::with(store);
    let holder = process.holds(TTL).await;
    let waiter = process.queues().await;

    sleep(10 * DELAY).await;
    let tries = process.store.count("acquire");
    assert!((10..=13).contains(&tries), "{tries} tries");
    assert_eq!(process.store.count("beat"), 0);
    process.release(&holder).await;

    assert!(wait_of(waiter).await <= DELAY);
}

#[tokio::test(start_paused = true)]
async fn the_mode_of_a_store_with_a_queue_is_queue() {
    let [process] = processes();

    assert_eq!(process.locker.mode().await, Ok(Mode::Queue));
}

#[tokio::test(start_paused = true)]
async fn where_messages_are_refused_waiting_is_polling_and_mode_says_why() {
    let [first, second] = processes();
    let refusal = Error::Redis { code: "NOPERM".into(), message: "no channels".into() };
    second.store.refuse_messages(refusal);
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    sleep(10 * DELAY).await;
    first.release(&holder).await;

    assert!(wait_of(waiter).await <= DELAY);
    assert_eq!(second.store.count("beat"), 0);
    let Ok(Mode::Classic(reason)) = second.locker.mode().await else { panic!("it queues") };
    assert!(reason.contains("NOPERM no channels"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn tokens_grow_from_hold_to_hold_also_past_a_store_that_forgot_everything() {
    let [first, second] = processes();
    let mut last = None;
    for round in 0..10 {
        let process = if round % 2 == 0 { &first } else { &second };
        let lock = process.waits().await.unwrap().unwrap().unwrap();
        assert!(lock.token > last, "{:?} after {last:?}", lock.token);
        last = lock.token;
        process.release(&lock.id).await;
        sleep(BEAT).await;
        if round == 5 {
            first.store.memory().clear();
        }
    }
}
