//! The memory store behind a network that loses things.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_lock::backend::Memory;
use dist_lock::backend::Text;
use dist_lock::{Backend, Cause, Error, Holder, Result};

/// What happens to one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Answered,
    /// It never leaves.
    NotSent,
    /// It is carried out, and the answer is lost with the connection.
    ReplyLost,
    /// It is carried out, and the answer never comes.
    Silence,
    /// It is carried out, and the answer takes this long.
    Late(Duration),
    /// The server refuses it.
    Refused,
}

/// A store whose next steps meet the fates that were set. Cloning is shallow.
#[derive(Debug, Clone, Default)]
pub struct Flaky {
    memory: Arc<Memory>,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    steps: Arc<Mutex<Vec<String>>>,
}

impl Flaky {
    /// The fates of the steps to come; after them all are answered.
    pub fn set(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.fates.lock().unwrap() = fates.into_iter().collect();
    }

    /// The steps so far: their names with the ids they were for.
    pub fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }

    async fn meet<T>(
        &self,
        name: &str,
        id: &str,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.steps.lock().unwrap().push(format!("{name} {id}"));
        let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Answered);
        match fate {
            Fate::NotSent => return Err(Error::Unreachable(Cause::new("refused"))),
            Fate::Refused => {
                return Err(Error::Redis { code: "NOPERM".into(), message: "no".into() });
            }
            _ => {}
        }
        let answer = step.await;
        match fate {
            Fate::ReplyLost => Err(Error::Unknown(Cause::new("reset"))),
            Fate::Silence => pending().await,
            Fate::Late(delay) => {
                tokio::time::sleep(delay).await;
                answer
            }
            _ => answer,
        }
    }
}

impl Backend for Flaky {
    async fn acquire(&self, key: &Text, id: &Text, owner: &Text, ttl: Duration) -> Result<bool> {
        self.meet("acquire", id, self.memory.acquire(key, id, owner, ttl)).await
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<bool> {
        self.meet("release", id, self.memory.release(key, id)).await
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<bool> {
        self.meet("extend", id, self.memory.extend(key, id, milliseconds)).await
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        self.meet("read", "", self.memory.read(key)).await
    }

    fn is_connected(&self) -> bool {
        true
    }
}
