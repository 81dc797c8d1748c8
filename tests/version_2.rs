//! Processes of version 2, which poll, beside those that queue; on a clock that is paused.

mod support;

use dist_lock::Acquire;
use dist_lock::backend::Text;
use dist_lock::schedule::Schedule;
use support::process::{
    BEAT, DELAY, KEY, Process, TTL, beats_in, milliseconds, processes, request, wait_of,
};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn while_a_version_2_process_holds_the_lock_one_waiter_per_process_looks_each_delay() {
    let [process] = processes();
    let memory = process.store.memory().clone();
    assert!(memory.acquire_as_version_2(&KEY.into(), &"old".into(), TTL));
    let first = process.queues().await;
    let _second = process.queues().await;
    let beats = beats_in(&process, 10 * DELAY).await;
    assert!((10..=20).contains(&beats), "{beats} beats");

    memory.release_as_version_2(&KEY.into(), &"old".into());

    let waited = wait_of(first).await;
    assert!(waited <= DELAY, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_2_process_is_looked_at_no_more_often_than_those_ask_for_who_still_wait() {
    let [process] = processes();
    let memory = process.store.memory().clone();
    assert!(memory.acquire_as_version_2(&KEY.into(), &"old".into(), TTL));
    let _waiter = process.queues().await;
    let schedule = Schedule::new(milliseconds(5), None, Some(10 * DELAY));
    let hasty = process.asks_for(Acquire { schedule, ..request(TTL, None) });
    assert_eq!(hasty.await.unwrap(), Ok(None));
    let before = process.store.count("beat");
    assert!(before > 50, "{before} beats for a delay of 5 ms");

    let beats = beats_in(&process, 10 * DELAY).await;

    assert!((10..=21).contains(&beats), "{beats} beats");
}

#[tokio::test(start_paused = true)]
async fn a_version_2_process_that_polls_is_not_starved_by_those_who_queue() {
    let processes: [Process; 3] = processes();
    let memory = processes[0].store.memory().clone();
    let key = Text::from(KEY);
    assert!(memory.acquire_as_version_2(&key, &"old".into(), TTL));
    for process in processes {
        for _ in 0..3 {
            let process = process.clone();
            tokio::spawn(async move {
                loop {
                    let id = process.holds(TTL).await;
                    sleep(milliseconds(5)).await;
                    process.release(&id).await;
                }
            });
        }
    }
    sleep(milliseconds(100)).await;
    memory.release_as_version_2(&key, &"old".into());
    sleep(milliseconds(60)).await;

    let began = Instant::now();
    while !memory.acquire_as_version_2(&key, &"old".into(), TTL) {
        sleep(DELAY).await;
    }

    assert!(began.elapsed() <= 2 * BEAT, "{:?}", began.elapsed());
}
