//! The callers who asked before messages reached this process, and so without a place in the queue.
//! Those who come later must not overtake them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many such callers have neither an answer nor a place in line.
#[derive(Debug, Default, Clone)]
pub struct EarlyCallers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    none: Notify,
}

/// One of them; it is counted until this is dropped.
#[derive(Debug)]
pub struct Early(Arc<Inner>);

impl EarlyCallers {
    /// One more.
    pub fn begin(&self) -> Early {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Early(self.0.clone())
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
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
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_early_callers_waits_for_the_last_of_them() {
        let callers = EarlyCallers::default();
        let (one, other) = (callers.begin(), callers.begin());
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
