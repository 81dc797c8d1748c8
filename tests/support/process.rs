//! Processes that ask for one lock of one store in the background, on a clock that is paused.

use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::{Memory, Mode, Text};
use dist_lock::holds::State;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Lock, Locker, Result};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::flaky::Flaky;

pub const TTL: Duration = Duration::from_secs(30);
pub const DELAY: Duration = Duration::from_millis(50);
pub const PATIENCE: Duration = Duration::from_secs(10);
pub const BEAT: Duration = Duration::from_secs(1);
pub const KEY: &str = "k";

pub fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One process.
#[derive(Clone)]
pub struct Process {
    pub store: Flaky,
    pub locker: Arc<Locker<Flaky>>,
}

/// A call that was made in the background.
pub type Waiting = JoinHandle<Result<Option<Lock>>>;

impl Process {
    pub fn with(store: Flaky) -> Self {
        let locker = Arc::new(Locker::new(store.clone(), PATIENCE));
        Process { store, locker }
    }

    /// Asks in the background.
    pub fn asks_for(&self, request: Acquire) -> Waiting {
        let locker = self.locker.clone();
        tokio::spawn(async move { locker.acquire(request).await })
    }

    pub fn asks(&self, ttl: Duration, limit: Option<Duration>) -> Waiting {
        self.asks_for(request(ttl, limit))
    }

    pub fn waits(&self) -> Waiting {
        self.asks(TTL, None)
    }

    /// Returns when the waiter is in the queue.
    pub async fn queues(&self) -> Waiting {
        let waiting = self.waits();
        sleep(milliseconds(1)).await;
        waiting
    }

    pub async fn holds(&self, ttl: Duration) -> Text {
        id_of(self.asks(ttl, None)).await
    }

    pub async fn release(&self, id: &Text) -> bool {
        self.locker.release(&KEY.into(), id).await.unwrap()
    }

    /// Waits until messages reach it.
    pub async fn listens(&self) {
        assert!(matches!(self.locker.mode().await, Ok(Mode::Queue)));
    }

    pub fn state(&self, id: &Text) -> State {
        self.locker.holds().state(id)
    }
}

/// What asks for the lock alone, for `limit` at the most.
pub fn request(ttl: Duration, limit: Option<Duration>) -> Acquire {
    Acquire::new(KEY.into(), "".into(), ttl, Schedule::new(DELAY, None, limit))
}

/// Processes that use one store.
pub fn processes<const COUNT: usize>() -> [Process; COUNT] {
    let memory = Arc::<Memory>::default();
    std::array::from_fn(|_| Process::with(Flaky::on(&memory)))
}

pub async fn id_of(waiting: Waiting) -> Text {
    waiting.await.unwrap().unwrap().expect("the lock").id
}

/// How long it takes until the waiter has the lock.
pub async fn wait_of(waiting: Waiting) -> Duration {
    wait_of_all([waiting]).await
}

/// How long it takes until all of them have their lock.
pub async fn wait_of_all(waiting: impl IntoIterator<Item = Waiting>) -> Duration {
    let began = Instant::now();
    for waiting in waiting {
        id_of(waiting).await;
    }
    began.elapsed()
}

/// How often the process says that it still waits, in this time.
pub async fn beats_in(process: &Process, time: Duration) -> usize {
    let before = process.store.count("beat");
    sleep(time).await;
    process.store.count("beat") - before
}

/// What lies in the store, without what ended.
pub async fn left_in(memory: &Arc<Memory>) -> String {
    let observer = memory.clone().client();
    observer.release(&KEY.into(), &"nobody".into()).await.unwrap();
    format!("{memory:?}")
}
