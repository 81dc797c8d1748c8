//! What the tests share: a private Redis, a store whose answers go astray, processes that use it, and a network.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

pub mod chance;
pub mod flaky;
pub mod network;
pub mod process;
pub mod server;
pub mod sharing;
pub mod witness;
pub mod world;

use std::time::Duration;

use dist_lock::Backend;
use dist_lock::backend::{Acquired, Waiter};

/// Somebody who asks for a lock.
pub fn waiter(id: &str, ttl: Duration) -> Waiter {
    Waiter::only(id.into(), ttl)
}

/// Asks for a lock without waiting. Says whether it was granted.
pub async fn takes(store: &impl Backend, key: &str, id: &str, ttl: Duration) -> bool {
    let acquired = store.acquire(&key.into(), &waiter(id, ttl), false).await.unwrap();
    matches!(acquired, Acquired::Held(_))
}
