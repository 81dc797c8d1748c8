//! Attempts that have no answer, and are carried out when nobody counts with them any more; on a clock
//! that is paused.

mod support;

use std::time::Duration;

use dist_lock::backend::Text;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Locker};
use support::flaky::{Fate, Flaky};
use tokio::time::sleep;

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

    async fn is_free(&self) -> bool {
        let client = self.store.memory().clone().client();
        client.read(&KEY.into()).await.unwrap().is_none()
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_carried_out_after_the_release_keeps_nobody_out() {
    for (step, steal) in [("acquire", false), ("steal", true)] {
        for ends_by_extension in [false, true] {
            let process = Process::new();
            process.store.set_for(step, [Fate::CarriedOutLate(LATE)]);
            let id = process.take(steal).await;
            match ends_by_extension {
                true => assert_eq!(process.locker.extend(&KEY.into(), &id, 0.0).await, Ok(true)),
                false => assert_eq!(process.release(&id).await, Ok(true)),
            }
            assert!(process.is_free().await);

            let mut was_taken = false;
            for _ in 0..100 {
                sleep(LATE / 20).await;
                was_taken |= !process.is_free().await;
            }

            assert!(was_taken, "it was not carried out late");
            assert!(process.is_free().await, "a late {step} holds the lock");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_calls_that_were_all_answered_nothing_is_looked_for() {
    let process = Process::new();
    let id = process.take(false).await;
    assert_eq!(process.release(&id).await, Ok(true));

    sleep(TTL).await;

    assert_eq!(process.store.steps().len(), 2, "{:?}", process.store.steps());
}
