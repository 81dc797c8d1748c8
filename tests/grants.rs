//! Grants of a queue: from when they count, and what becomes of those that nobody waits for any more; on a
//! clock that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::{CLAIM, Waiter};
use dist_lock::{Acquire, Backend, Error, id};
use support::flaky::Fate;
use support::process::{
    BEAT, KEY, Process, TTL, id_of, left_in, milliseconds, processes, request, wait_of,
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
