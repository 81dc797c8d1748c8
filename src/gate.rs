//! Where calls wait, in the order they were made, for messages to reach this process.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Who has to wait, and who is first.
#[derive(Debug, Default)]
pub struct Gate {
    /// Fair: it is had in the order it was asked for.
    first: Mutex<()>,
    count: AtomicUsize,
}

/// The turn of one call; the next has its own when this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _first: MutexGuard<'a, ()>,
    _counted: Counted<'a>,
}

#[derive(Debug)]
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// Whether anybody waits here, or has not yet made use of its turn.
    pub fn is_busy(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Waits until those who came before have had their turns.
    pub async fn turn(&self) -> Turn<'_> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(&self.count);
        Turn { _first: self.first.lock().await, _counted: counted }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_they_were_asked_for_also_past_one_who_left() {
        let gate = Arc::<Gate>::default();
        let told = Arc::<std::sync::Mutex<Vec<u32>>>::default();
        let first = gate.turn().await;
        let [second, third, fourth] = [2, 3, 4].map(|number| {
            let (gate, told) = (gate.clone(), told.clone());
            tokio::spawn(async move {
                let _turn = gate.turn().await;
                told.lock().unwrap().push(number);
            })
        });
        tokio::task::yield_now().await;
        third.abort();

        drop(first);

        second.await.unwrap();
        fourth.await.unwrap();
        assert_eq!(*told.lock().unwrap(), [2, 4]);
        assert!(!gate.is_busy());
    }
}
