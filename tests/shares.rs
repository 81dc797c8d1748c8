//! Locks that several hold at once, on a clock that is paused.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dist_lock::holds::{Renewal, State};
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Error};
use support::flaky::Fate;
use support::process::{
    BEAT, DELAY, KEY, Process, TTL, id_of, milliseconds, processes, wait_of, wait_of_all,
};
use support::sharing::{EXCLUSIVE, SHARED, permits};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn many_read_at_once_and_nobody_else_does_anything_meanwhile() {
    let [first, second] = processes();
    let mut readers = Vec::new();
    for process in [&first, &second, &first, &second] {
        readers.push((process, process.holds_as(SHARED).await));
    }
    let writer = second.queues_as(EXCLUSIVE).await;
    sleep(BEAT).await;
    for (process, id) in &readers {
        assert!(!writer.is_finished());
        assert!(process.release(id).await);
    }

    assert_eq!(wait_of(writer).await, Duration::ZERO);
    assert!(!first.gets_as(SHARED).await, "there is a writer");
}

#[tokio::test(start_paused = true)]
async fn a_reader_does_not_pass_a_writer_who_waits() {
    let [first, second, third] = processes();
    let reader = first.holds_as(SHARED).await;
    let writer = second.queues_as(EXCLUSIVE).await;
    let late = third.queues_as(SHARED).await;
    assert!(!third.gets_as(SHARED).await);
    sleep(2 * BEAT).await;
    assert!(!late.is_finished());

    first.release(&reader).await;
    let writer = id_of(writer).await;
    assert!(!late.is_finished());
    second.release(&writer).await;

    assert_eq!(wait_of(late).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_share_that_does_not_wait_passes_nobody_who_asked_before_messages_reached_the_process() {
    let [first, second] = processes();
    let reader = first.holds_as(SHARED).await;
    second.store.set_for("acquire", [Fate::Late(milliseconds(100))]);
    let writer = second.asks_as(EXCLUSIVE, TTL, None);
    yield_now().await;
    let schedule = Schedule::new(DELAY, Some(0), None);
    let request = Acquire::new(KEY.into(), "".into(), TTL, schedule);

    let share = second.asks_for(Acquire { sharing: SHARED, ..request }).await.unwrap();

    assert_eq!(share, Ok(None));
    assert!(!writer.is_finished());
    first.release(&reader).await;
    id_of(writer).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_permits_than_so_many_and_each_is_handed_on() {
    let [first, second] = processes();
    let mut holders = Vec::new();
    for _ in 0..3 {
        holders.push(first.holds_as(permits(3)).await);
    }
    let mut waiters = Vec::new();
    for process in [&second, &first, &second] {
        waiters.push(process.queues_as(permits(3)).await);
    }
    assert!(!second.gets_as(permits(3)).await);
    sleep(2 * BEAT).await;

    for (holder, waiter) in holders.iter().zip(waiters) {
        assert!(!waiter.is_finished());
        first.release(holder).await;
        assert_eq!(wait_of(waiter).await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn who_disagrees_about_the_permits_is_told_so_while_the_lock_is_held_and_while_one_waits() {
    let [first, second] = processes();
    let holder = first.holds_as(permits(3)).await;
    for other in [permits(2), SHARED] {
        let refused = second.asks_as(other, TTL, None).await.unwrap();
        assert_eq!(refused.unwrap_err(), Error::Permits(permits(3)));
    }
    first.release(&holder).await;

    let _writer = first.holds_as(EXCLUSIVE).await;
    let _waits = first.queues_as(permits(3)).await;
    let refused = second.asks_as(permits(4), TTL, None).await.unwrap();

    assert_eq!(refused.unwrap_err(), Error::Permits(permits(3)));
}

#[tokio::test(start_paused = true)]
async fn a_writer_who_gives_up_holds_readers_up_no_longer() {
    let [first, second, third] = processes();
    let _reader = first.holds_as(SHARED).await;
    let writer = second.asks_as(EXCLUSIVE, TTL, Some(milliseconds(300)));
    sleep(milliseconds(1)).await;
    let readers = [third.queues_as(SHARED).await, second.queues_as(SHARED).await];

    assert_eq!(writer.await.unwrap(), Ok(None));

    assert!(wait_of_all(readers).await <= milliseconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_behind_a_writer_read_as_soon_as_it_is_done() {
    let processes: [Process; 4] = processes();
    let writer = processes[0].holds_as(EXCLUSIVE).await;
    let readers: Vec<_> =
        (0..1000).map(|number| processes[number % 4].asks_as(SHARED, TTL, None)).collect();
    sleep(2 * BEAT).await;
    processes[0].release(&writer).await;

    let waited = wait_of_all(readers).await;

    // Each process beats in steps of a millisecond, the clock's smallest.
    assert!(waited <= milliseconds(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_a_beat_is_under_way_is_looked_at_once_it_is_over() {
    let [first, second, third] = processes();
    let reader = first.holds_as(SHARED).await;
    let writer = second.asks_as(EXCLUSIVE, TTL, Some(BEAT + milliseconds(20)));
    sleep(milliseconds(10)).await;
    third.store.set_for("beat", [Fate::Late(milliseconds(100))]);
    let late = third.asks_as(SHARED, TTL, None);
    assert_eq!(writer.await.unwrap(), Ok(None), "while the answer to a beat is under way");

    let waited = wait_of(late).await;

    assert!(waited <= milliseconds(100), "{waited:?}");
    assert_eq!(first.state(&reader), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_share_is_renewed_like_a_lock_and_ends_alone() {
    let [first, second] = processes();
    let holder = Arc::new(());
    let renewal = Renewal { max_hold: None, holder: Arc::downgrade(&holder) };
    let schedule = Schedule::new(DELAY, None, None);
    let request = Acquire::new(KEY.into(), "".into(), 3 * BEAT, schedule);
    let request = Acquire { sharing: SHARED, renewal: Some(renewal), ..request };
    let renewed = id_of(first.asks_for(request)).await;
    let other = id_of(second.asks_as(SHARED, 3 * BEAT, None)).await;

    sleep(20 * BEAT).await;

    assert_eq!(first.state(&renewed), State::Held);
    assert_eq!(second.state(&other), State::Lost);
    assert!(!second.release(&other).await, "it ended");
    assert!(!second.gets_as(EXCLUSIVE).await, "the first still holds it");
    assert!(first.release(&renewed).await);
    assert!(second.gets_as(EXCLUSIVE).await);
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_made_shorter_is_free_for_others_at_its_new_end() {
    let [first, second] = processes();
    let holder = first.holds_as(permits(1)).await;
    let waiter = second.queues_as(permits(1)).await;
    sleep(milliseconds(100)).await;

    assert_eq!(first.locker.extend(&KEY.into(), &holder, 200.0).await, Ok(true));

    let waited = wait_of(waiter).await;
    assert!(waited <= milliseconds(210), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn after_another_server_took_over_every_share_it_knows_is_still_held() {
    let [first, second] = processes();
    let (one, other) = (first.holds_as(SHARED).await, first.holds_as(SHARED).await);
    let third = second.holds_as(SHARED).await;
    for process in [&first, &second] {
        process.store.moves();
    }
    sleep(BEAT).await;

    assert_eq!(first.state(&one), State::Held);
    assert_eq!(first.state(&other), State::Held);
    assert_eq!(second.state(&third), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_share_that_was_paused_past_its_end_is_lost_and_another_has_it() {
    let [paused, second] = processes();
    let share = paused.holds_as(permits(1)).await;
    let waiter = second.queues_as(permits(1)).await;
    paused.store.set_always(Fate::NeverSent);
    sleep(TTL - milliseconds(10)).await;
    // Its lease ends before the share does.
    assert_eq!(paused.state(&share), State::Lost);
    assert!(!waiter.is_finished());

    assert!(timeout(BEAT, id_of(waiter)).await.is_ok());
}
