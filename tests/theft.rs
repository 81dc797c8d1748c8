//! Locks that are taken away from whoever holds them, on a clock that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::{Sharing, Text};
use dist_lock::holds::{End, State};
use dist_lock::{Acquire, Error};
use support::flaky::Fate;
use support::process::{
    BEAT, KEY, Process, TTL, Waiting, id_of, milliseconds, processes, request, wait_of, wait_of_all,
};
use support::sharing::{EXCLUSIVE, SHARED, permits};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

impl Process {
    fn steals(&self) -> Waiting {
        self.asks_for(Acquire { steal: true, ..request(TTL, None) })
    }

    async fn holds_another(&self, sharing: Sharing) -> Text {
        let key = "another".into();
        id_of(self.asks_for(Acquire { key, sharing, ..request(TTL, None) })).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_stolen_is_lost_to_all_who_shared_it_at_once() {
    let [first, second, thief] = processes();
    let readers = [first.holds_as(SHARED).await, second.holds_as(SHARED).await];
    second.locker.watch(&readers[1], Box::new(|_| {}));
    let waiter = first.queues_as(EXCLUSIVE).await;

    let stolen = id_of(thief.steals()).await;
    sleep(milliseconds(1)).await;

    assert_eq!(first.state(&readers[0]), State::Lost);
    assert_eq!(second.state(&readers[1]), State::Lost);
    assert!(!waiter.is_finished(), "it keeps its place");
    thief.release(&stolen).await;
    assert_eq!(wait_of(waiter).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_a_lock_hears_that_it_was_stolen_before_messages_reached_it() {
    for (sharing, hears_before) in [(SHARED, false), (SHARED, true), (EXCLUSIVE, true)] {
        let [first, thief] = processes();
        let (stolen, other) = (first.holds_as(sharing).await, first.holds_another(sharing).await);
        let (tell, told) = oneshot::channel();
        sleep(milliseconds(1)).await;
        id_of(thief.steals()).await;
        if hears_before {
            // Of another lock; nobody watches this one yet.
            first.listens().await;
        }
        first.locker.watch(&stolen, Box::new(|end| tell.send(end).unwrap()));
        first.locker.watch(&other, Box::new(|_| {}));

        let told = timeout(milliseconds(100), told).await;

        assert_eq!(told, Ok(Ok(End::Taken)));
        assert_eq!(first.state(&other), State::Held);
    }
}

#[tokio::test(start_paused = true)]
async fn who_hears_that_its_lock_was_stolen_before_it_hears_that_it_had_it_does_not_believe_it() {
    let [first, thief] = processes();
    first.listens().await;
    first.store.set_for("acquire", [Fate::Late(milliseconds(100))]);
    let acquiring = first.asks_as(EXCLUSIVE, TTL, None);
    sleep(milliseconds(10)).await;

    let stolen = id_of(thief.steals()).await;
    let lost = id_of(acquiring).await;

    assert_eq!(first.state(&lost), State::Lost);
    assert_eq!(thief.state(&stolen), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_forced_release_whose_outcome_is_unknown_is_not_made_twice() {
    let [first, second, third] = processes();
    let holder = first.holds_as(EXCLUSIVE).await;
    first.locker.watch(&holder, Box::new(|_| {}));
    let next = second.queues_as(EXCLUSIVE).await;
    third.store.set_for("force", [Fate::ReplyLost]);

    let answer = third.locker.force_release(&KEY.into()).await;

    assert!(matches!(answer, Err(Error::Unknown(_))), "{answer:?}");
    let next = id_of(next).await;
    sleep(BEAT).await;
    assert_eq!(first.state(&holder), State::Lost);
    assert_eq!(second.state(&next), State::Held, "it has done nothing wrong");
}

#[tokio::test(start_paused = true)]
async fn a_forced_release_hands_the_lock_on() {
    let [first, second, third] = processes();
    for _ in 0..3 {
        first.holds_as(permits(3)).await;
    }
    let waiters = [second.queues_as(permits(3)).await, second.queues_as(permits(3)).await];

    assert_eq!(third.locker.force_release(&KEY.into()).await, Ok(true));

    assert_eq!(wait_of_all(waiters).await, Duration::ZERO);
    assert_eq!(third.locker.force_release(&"another".into()).await, Ok(false));
}
