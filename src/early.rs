//! The callers who asked before messages reached this process, and so without a place in the queue.
//! Those who come later must not overtake them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::backend::Sharing;

/// How many such callers have neither an answer nor a place in line.
#[derive(Debug, Default, Clone)]
pub struct EarlyCallers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    /// Those among them who would have the lock alone.
    alone: AtomicUsize,
    none: Notify,
}

/// One of them; it is counted until this is dropped.
#[derive(Debug)]
pub struct Early {
    callers: Arc<Inner>,
    is_alone: bool,
}

impl EarlyCallers {
    /// One more.
    pub fn begin(&self, sharing: Sharing) -> Early {
        let is_alone = sharing == Sharing::Exclusive;
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.0.alone.fetch_add(usize::from(is_alone), Ordering::Relaxed);
        Early { callers: self.0.clone(), is_alone }
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// Whether there are any who would have the lock alone.
    pub fn any_alone(&self) -> bool {
        self.0.alone.load(Ordering::Relaxed) > 0
    }

    /// Waits until there are none.
    pub async fn none(&self) {
        loop {
            let changed = self.0.none.notified();
            if !self.any() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.callers.alone.fetch_sub(usize::from(self.is_alone), Ordering::Relaxed);
        if self.callers.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.callers.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_early_callers_waits_for_the_last_of_them() {
        let callers = EarlyCallers::default();
        let (one, other) = (callers.begin(Sharing::Shared), callers.begin(Sharing::Exclusive));
        let waiting = tokio::spawn({
            let callers = callers.clone();
            async move { callers.none().await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());

        drop(other);

        waiting.await.unwrap();
        assert!(!callers.any());
    }
}
