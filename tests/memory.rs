//! What a caller takes of memory, so that a hundred thousand of them are nothing to worry about.
// The binding brings an allocator of its own.
#![cfg(not(feature = "node"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dist_lock::backend::Store;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Locker, Settings};
use tokio::time::sleep;

/// Counts what is taken and not given back.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WAITERS: usize = 10_000;
const PER_KEY: usize = 10;

fn request(number: usize, timeout: Option<Duration>) -> Acquire {
    let schedule = Schedule::new(Duration::from_millis(50), None, timeout);
    let key = format!("lock:{}", number % (WAITERS / PER_KEY));
    Acquire::new(key.into(), "".into(), Duration::from_secs(60), schedule)
}

/// The bytes for each of many waiters.
async fn measure(timeout: Option<Duration>) -> usize {
    let store = Store::open(&Settings::Memory(format!("memory {timeout:?}"))).unwrap();
    let locker = Arc::new(Locker::new(store, Duration::ZERO));
    for number in 0..WAITERS / PER_KEY {
        assert!(locker.acquire(request(number, None)).await.unwrap().is_some());
    }
    // Messages reach us from the first wait on.
    let one = Some(Duration::from_millis(10));
    assert_eq!(locker.acquire(request(0, one)).await, Ok(None));

    let mut waiters = Vec::with_capacity(WAITERS);
    let before = TAKEN.load(Ordering::Relaxed);
    for number in 0..WAITERS {
        let locker = locker.clone();
        waiters.push(tokio::spawn(Box::pin(async move {
            locker.acquire(request(number, timeout)).await
        })));
    }
    sleep(Duration::from_millis(1)).await;
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    taken / WAITERS
}

/// The bytes for each of many locks that are held.
async fn measure_held() -> usize {
    let store = Store::open(&Settings::Memory("held".into())).unwrap();
    let locker = Locker::new(store, Duration::ZERO);
    let request = |number| Acquire { key: format!("lock:{number}").into(), ..request(0, None) };
    assert!(locker.acquire(request(0)).await.unwrap().is_some());

    let mut locks = Vec::with_capacity(WAITERS);
    let before = TAKEN.load(Ordering::Relaxed);
    for number in 1..=WAITERS {
        locks.push(locker.acquire(request(number)).await.unwrap());
    }
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    taken / WAITERS
}

// One test, because what is counted is that of the process.
#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_and_a_lock_that_is_held_take_little() {
    // With what the store in this process keeps of them.
    let held = measure_held().await;
    assert!(held < 1100, "{held} bytes for one that is held");
    let (for_ever, bounded) = (measure(None).await, measure(Some(Duration::from_secs(30))).await);
    assert!(for_ever < 1450, "{for_ever} bytes for one without a deadline");
    assert!(bounded < 1750, "{bounded} bytes for one with a deadline");
}
