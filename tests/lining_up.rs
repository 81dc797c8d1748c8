//! Those who ask for nothing before messages reach their process, on a clock that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::{Sharing, Text};
use dist_lock::holds::State;
use dist_lock::{Acquire, Cause, Error};
use support::process::{
    DELAY, KEY, PATIENCE, Process, TTL, Waiting, id_of, milliseconds, processes, request,
};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// How long it takes until messages reach a process.
const OPENING: Duration = Duration::from_millis(300);

impl Process {
    /// Asks, for nothing before messages reach the process.
    fn lines_up(&self, limit: Option<Duration>) -> Waiting {
        self.asks_for(Acquire { lines_up: true, ..request(TTL, limit) })
    }

    /// How many hold the lock, and how many stand in its queue.
    async fn counts(&self) -> (usize, usize) {
        let listings = self.locker.query("").await.unwrap();
        listings.iter().fold((0, 0), |(held, waiting), listing| {
            (held + listing.holders.len(), waiting + listing.waiters.len())
        })
    }
}

/// A process that messages do not reach so soon.
fn process() -> Process {
    let [process] = processes();
    process.store.delay_subscription(OPENING);
    process
}

#[tokio::test(start_paused = true)]
async fn the_first_who_line_up_hand_the_lock_on_to_one_another() {
    let process = process();
    let [first, second, third] = [(); 3].map(|()| process.lines_up(None));

    let first = id_of(first).await;
    assert_eq!(process.counts().await, (1, 2));
    process.release(&first).await;
    assert_eq!(process.counts().await, (1, 1));
    process.release(&id_of(second).await).await;

    let third = third.await.unwrap().unwrap().unwrap();
    assert_eq!((third.attempts, third.waited), (1, OPENING));
}

#[tokio::test(start_paused = true)]
async fn nobody_of_the_process_passes_those_who_line_up() {
    let process = process();
    let first = process.lines_up(None);
    yield_now().await;
    let one = process.asks_for(request(TTL, None));
    let at_once = process.asks_for(request(TTL, Some(Duration::ZERO)));
    let share = Acquire { sharing: Sharing::Shared, ..request(TTL, Some(Duration::ZERO)) };
    let share = process.asks_for(share);
    let another = Acquire { key: "another".into(), ..request(TTL, None) };
    let several = process.locker.acquire_all(vec![KEY.into(), "another".into()], another).await;

    assert!(first.is_finished());
    assert!(!one.is_finished());
    assert_eq!(at_once.await.unwrap(), Ok(None));
    assert_eq!(share.await.unwrap(), Ok(None));
    drop(several);
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_for_in_the_same_moment_is_granted_first_and_then_robbed() {
    let process = process();
    let first = process.lines_up(None);
    let thief = process.asks_for(Acquire { steal: true, lines_up: true, ..request(TTL, None) });

    let (first, thief) = (id_of(first).await, id_of(thief).await);

    sleep(milliseconds(1)).await;
    let holds = process.locker.holds();
    assert_eq!((holds.state(&first), holds.state(&thief)), (State::Lost, State::Held));
}

#[tokio::test(start_paused = true)]
async fn once_messages_reach_the_process_nobody_waits_for_them() {
    let process = process();
    id_of(process.lines_up(None)).await;

    let key = Text::from("another");
    let asked = Instant::now();
    let lock = Acquire { key, lines_up: true, ..request(TTL, None) };
    id_of(process.asks_for(lock)).await;

    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn where_messages_are_refused_nobody_waits_for_them() {
    let process = process();
    process.store.refuse_messages(Error::Unsupported(Cause::new("no messages")));

    let first = id_of(process.lines_up(None)).await;
    let second = process.lines_up(None);
    sleep(milliseconds(1)).await;
    process.release(&first).await;

    let second = second.await.unwrap().unwrap().unwrap();
    assert!(second.waited <= DELAY);
}

#[tokio::test(start_paused = true)]
async fn messages_that_never_come_are_waited_for_once_and_not_for_long() {
    let process = process();
    process.store.delay_subscription(Duration::MAX);
    let asked = Instant::now();
    let (first, second) = (process.lines_up(None), process.lines_up(Some(milliseconds(400))));

    let told = second.await.unwrap();
    assert_eq!(asked.elapsed(), milliseconds(400));
    assert!(matches!(told, Err(Error::Unreachable(_))));
    let first = id_of(first).await;
    assert!(asked.elapsed() < PATIENCE / 2);

    process.release(&first).await;
    let again = Instant::now();
    id_of(process.lines_up(None)).await;
    assert_eq!(again.elapsed(), Duration::ZERO);
}
