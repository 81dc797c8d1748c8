//! What processes ask for that share a lock.

use std::time::Duration;

use dist_lock::Acquire;
use dist_lock::backend::{Sharing, Text};
use tokio::time::sleep;

use super::process::{Process, TTL, Waiting, id_of, milliseconds, request};

pub const SHARED: Sharing = Sharing::Shared;
pub const EXCLUSIVE: Sharing = Sharing::Exclusive;

pub fn permits(count: u32) -> Sharing {
    Sharing::of(count)
}

impl Process {
    pub fn asks_as(&self, sharing: Sharing, ttl: Duration, limit: Option<Duration>) -> Waiting {
        self.asks_for(Acquire { sharing, ..request(ttl, limit) })
    }

    /// Asks, and returns when whoever asked is in the queue.
    pub async fn queues_as(&self, sharing: Sharing) -> Waiting {
        let waiting = self.asks_as(sharing, TTL, None);
        sleep(milliseconds(1)).await;
        waiting
    }

    pub async fn holds_as(&self, sharing: Sharing) -> Text {
        id_of(self.asks_as(sharing, TTL, None)).await
    }

    /// Whether it gets a lock without waiting.
    pub async fn gets_as(&self, sharing: Sharing) -> bool {
        self.asks_as(sharing, TTL, Some(Duration::ZERO)).await.unwrap().unwrap().is_some()
    }
}
