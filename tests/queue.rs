//! Waiting in the queue of a store, by one process and by several, on a clock that is paused.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::{CLAIM, Memory, Mode, Text, Waiter};
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Error, id};
use support::flaky::{Fate, Flaky};
use support::process::{
    BEAT, DELAY, KEY, Process, TTL, Waiting, id_of, milliseconds, processes, request, wait_of,
};
use support::takes;
use tokio::time::{Instant, sleep};

impl Process {
    /// Leaves a waiter in the queue that is none, as in a store which has forgotten that it left.
    async fn haunts(&self) {
        let id = id::unique(self.store.process(), 0);
        self.store.acquire(&KEY.into(), &Waiter::only(id, TTL), true).await.unwrap();
    }
}

/// How often the process says that it still waits, in this time.
async fn beats_in(process: &Process, time: Duration) -> usize {
    let before = process.store.count("beat");
    sleep(time).await;
    process.store.count("beat") - before
}

/// What lies in the store, without what ended.
async fn left_in(memory: &Arc<Memory>) -> String {
    let observer = memory.clone().client();
    observer.release(&KEY.into(), &"nobody".into()).await.unwrap();
    format!("{memory:?}")
}

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
async fn a_grant_that_crosses_the_waiter_s_end_goes_to_the_next() {
    let [first, second, third] = processes();
    let holder = first.holds(TTL).await;
    let leaving = second.queues().await;
    let next = third.queues().await;
    second.store.delay_messages(milliseconds(100));

    first.release(&holder).await;
    sleep(milliseconds(50)).await;
    leaving.abort();
    let left = Instant::now();

    id_of(next).await;
    assert!(left.elapsed() <= milliseconds(1), "{:?}", left.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_grant_in_the_same_process_that_crosses_the_waiter_s_end_goes_to_the_next() {
    let [process] = processes();
    let holder = process.holds(TTL).await;
    let leaving = process.queues().await;
    let next = process.queues().await;
    process.store.set_for("release", [Fate::Late(milliseconds(100))]);

    let releasing = process.clone();
    let released = tokio::spawn(async move { releasing.release(&holder).await });
    sleep(milliseconds(50)).await;
    leaving.abort();
    let left = Instant::now();

    id_of(next).await;
    assert!(left.elapsed() <= milliseconds(51), "{:?}", left.elapsed());
    assert!(released.await.unwrap());
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
async fn a_grant_to_one_who_waits_no_more_is_given_back_at_once() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let before = [first.queues().await, second.queues().await];
    for process in [&first, &first, &second, &second, &first] {
        process.haunts().await;
    }
    let last = [first.queues().await, second.queues().await];
    let began = Instant::now();

    first.release(&holder).await;
    let [one, other] = before;
    first.release(&id_of(one).await).await;
    second.release(&id_of(other).await).await;

    let [one, other] = last;
    first.release(&id_of(one).await).await;
    id_of(other).await;
    assert!(began.elapsed() < milliseconds(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_queues_after_a_release_without_an_answer_is_granted_nothing() {
    let [first, second, third] = processes();
    let holder = first.holds(TTL).await;
    // Messages reach it from now on.
    first.queues().await.abort();
    first.release(&holder).await;
    first.store.set_for("acquire", [Fate::CarriedOutLate(milliseconds(300))]);
    let owner = "somebody".into();
    let late = id_of(first.asks_for(Acquire { owner, ..request(TTL, None) })).await;
    first.store.set_for("release", [Fate::ReplyLost]);
    let answer = first.locker.release(&KEY.into(), &late).await;
    assert!(matches!(answer, Err(Error::Unknown(_))), "{answer:?}");
    let holder = second.holds(TTL).await;
    sleep(milliseconds(300)).await;
    assert!(left_in(first.store.memory()).await.contains(&*late), "it was not carried out late");
    let waiter = third.queues().await;
    sleep(BEAT).await;

    second.release(&holder).await;

    assert_eq!(wait_of(waiter).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_grant_to_one_whose_lock_was_lost_is_given_back_at_once() {
    let [first, thief, last] = processes();
    let lost = first.holds(TTL).await;
    first.queues().await.abort();
    let stolen = id_of(thief.asks_for(Acquire { steal: true, ..request(TTL, None) })).await;
    sleep(milliseconds(1)).await;
    let ghost = Waiter::only(lost, TTL);
    first.store.acquire(&KEY.into(), &ghost, true).await.unwrap();
    let waiter = last.queues().await;

    thief.release(&stolen).await;

    let waited = wait_of(waiter).await;
    assert!(waited <= milliseconds(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn past_those_who_wait_no_more_a_lock_that_expires_goes_on_to_who_does() {
    let [first, second] = processes();
    let dead = first.store.memory().clone().client();
    assert!(takes(&dead, KEY, "dead", 2 * BEAT).await);
    // Both are heard.
    let before = [first.queues().await, second.queues().await];
    for process in [&first, &second, &first] {
        process.haunts().await;
    }
    let last = first.queues().await;
    before.into_iter().for_each(|waiting| waiting.abort());

    let waited = wait_of(last).await;
    assert!(waited <= 2 * BEAT + milliseconds(10), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_heard_of_late_leaves_the_lock_to_whom_it_was_granted() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    second.store.delay_messages(CLAIM);

    first.release(&holder).await;
    // A beat is earlier.
    let id = id_of(waiter).await;
    sleep(2 * CLAIM).await;

    assert!(second.release(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_heard_of_before_the_place_in_the_queue_counts() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    second.queues().await.abort();
    second.store.set_for("acquire", [Fate::Late(milliseconds(100))]);
    let waiter = second.queues().await;
    let steps = second.store.steps().len();

    first.release(&holder).await;
    let id = id_of(waiter).await;

    assert_eq!(second.store.steps()[steps..], [""; 0], "nothing was asked or given back");
    assert!(second.release(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_after_the_claim_gives_no_lock() {
    let [first, second, third] = processes();
    let holder = first.holds(TTL).await;
    let late = second.queues().await;
    let next = third.queues().await;
    second.store.delay_messages(2 * CLAIM);
    second.store.set_for("beat", [Fate::NotSent; 1000]);

    first.release(&holder).await;
    id_of(next).await;
    sleep(2 * CLAIM).await;

    assert!(!late.is_finished(), "another has it");
}

#[tokio::test(start_paused = true)]
async fn a_grant_counts_from_when_the_store_made_it_and_not_from_when_it_was_heard() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    second.store.delay_messages(milliseconds(700));
    sleep(milliseconds(100)).await;
    // It beats just before the message comes, and learns nothing.
    second.store.set_for("beat", [Fate::NeverSent; 10]);

    first.release(&holder).await;
    let id = id_of(waiter).await;

    let remaining = second.locker.holds().remaining(&id);
    assert!(remaining <= CLAIM - milliseconds(700), "{remaining:?}");
    assert!(remaining >= CLAIM - milliseconds(750), "{remaining:?}");
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_nearly_over_is_confirmed_before_anybody_is_told() {
    let [first, second] = processes();
    let holder = first.holds(TTL).await;
    let waiter = second.queues().await;
    second.store.delay_messages(milliseconds(1900));
    second.store.set_for("beat", [Fate::NeverSent; 10]);

    first.release(&holder).await;
    let id = id_of(waiter).await;

    assert!(second.locker.holds().remaining(&id) > TTL / 2, "it asked, and has its whole ttl");
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
