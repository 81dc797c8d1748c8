//! Attempts that have no answer, and are carried out when nobody counts with them any more; on a clock
//! that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::Text;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Locker};
use support::flaky::{Fate, Flaky};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

const TTL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_millis(200);
const KEY: &str = "k";

struct Process {
    store: Flaky,
    locker: Locker<Flaky>,
}

impl Process {
    fn new() -> Self {
        let store = Flaky::default();
        Process { locker: Locker::new(store.clone(), PATIENCE), store }
    }

    async fn take(&self, steal: bool) -> Text {
        let schedule = Schedule::new(LATE, None, None);
        let request = Acquire { steal, ..Acquire::new(KEY.into(), "".into(), TTL, schedule) };
        self.locker.acquire(request).await.unwrap().expect("it waits for ever").id
    }

    async fn release(&self, id: &Text) -> dist_lock::Result<bool> {
        self.locker.release(&KEY.into(), id).await
    }

    /// How often the lock is taken that is free now.
    async fn times_taken(&self) -> usize {
        let (mut times, mut was_free) = (0, true);
        for _ in 0..400 {
            sleep(LATE / 20).await;
            let is_free = self.is_free().await;
            times += usize::from(was_free && !is_free);
            was_free = is_free;
        }
        times
    }

    async fn is_free(&self) -> bool {
        let client = self.store.memory().clone().client();
        client.read(&KEY.into()).await.unwrap().is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Released,
    Extended,
    GivenBack,
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_carried_out_after_the_lock_has_ended_keeps_nobody_out() {
    for (step, steal) in [("acquire", false), ("steal", true)] {
        for end in [End::Released, End::Extended, End::GivenBack] {
            let process = Process::new();
            process.store.set_for(step, [Fate::CarriedOutLate(LATE)]);
            let id = process.take(steal).await;
            match end {
                End::Released => assert_eq!(process.release(&id).await, Ok(true)),
                End::Extended => {
                    assert_eq!(process.locker.extend(&KEY.into(), &id, 0.0).await, Ok(true));
                }
                End::GivenBack => process.locker.give_back(KEY.into(), id, TTL),
            }
            yield_now().await;
            assert!(process.is_free().await);

            assert_eq!(process.times_taken().await, 1, "it was not carried out late");
            assert!(process.is_free().await, "a late {step} holds the lock that was {end:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_attempts_that_are_carried_out_after_their_call_was_aborted_neither_keeps_anybody_out()
 {
    let process = Process::new();
    let fates = [Fate::CarriedOutLate(LATE), Fate::CarriedOutLate(3 * LATE), Fate::NeverSent];
    process.store.set_for("acquire", fates);
    assert!(timeout(LATE / 2, process.take(false)).await.is_err());

    assert_eq!(process.times_taken().await, 2, "they were not carried out late");
    assert!(process.is_free().await);
}

#[tokio::test(start_paused = true)]
async fn after_calls_that_were_all_answered_nothing_is_looked_for() {
    let process = Process::new();
    let id = process.take(false).await;
    assert_eq!(process.release(&id).await, Ok(true));

    sleep(TTL).await;

    assert_eq!(process.store.steps().len(), 2, "{:?}", process.store.steps());
}
