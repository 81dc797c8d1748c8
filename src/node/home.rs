//! A call at home: on the thread of its JavaScript, for as long as only that thread wakes it. Mostly
//! that is by the reply to its first step, which came over this thread's direct link, and ends it;
//! or by the reply to another call's release, which hands it the lock. One that anything else wakes
//! moves to the tokio thread, which a blocked event loop does not stop.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use super::environment::{Environment, Reply};
use super::runtime::{Work, carry_out};
use crate::backend::Store;
use crate::backend::redis::direct::Direct;
use crate::locker::Locker;
use crate::mutex::lock;

/// What is left to do of a call.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// The calls that the replies being handed out on this thread are for.
    static ANSWERED: RefCell<Option<Answered>> = const { RefCell::new(None) };
}

struct Answered {
    environment: *const Environment,
    calls: VecDeque<Arc<Home>>,
}

/// A call that has begun.
pub struct Home {
    number: u32,
    is_acquire: bool,
    environment: Arc<Environment>,
    place: Mutex<Place>,
}

/// Where the call is.
enum Place {
    /// Here, until it is woken.
    Here(Task),
    /// It is being polled; and it was woken meanwhile.
    Polled { woken: bool },
    /// It has ended, or moved.
    Gone,
}

/// Begins a call, whose steps are put on `direct`.
pub fn begin(
    environment: &Arc<Environment>,
    direct: &Arc<Direct>,
    number: u32,
    locker: Arc<Locker<Store>>,
    work: Work,
) {
    let environment = environment.clone();
    let is_acquire = work.acquires().is_some();
    let reply = Reply::new(environment.clone(), number);
    let place = Mutex::new(Place::Here(carry_out(reply, locker, work)));
    let call = Arc::new(Home { number, is_acquire, environment, place });
    direct.carry(|| call.poll());
}

/// Hands replies out with `receive`, and goes on with the calls they are for.
pub fn answer(environment: &Arc<Environment>, receive: impl FnOnce()) {
    let environment = Arc::as_ptr(environment);
    ANSWERED.set(Some(Answered { environment, calls: VecDeque::new() }));
    let _reset = Reset;
    receive();
    while let Some(call) = next_answered() {
        call.poll();
    }
}

fn next_answered() -> Option<Arc<Home>> {
    ANSWERED.with_borrow_mut(|answered| answered.as_mut()?.calls.pop_front())
}

/// Ends the handing out, even by a panic: no call that was woken is forgotten.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        let left = ANSWERED.take().map(|answered| answered.calls).unwrap_or_default();
        left.iter().for_each(|call| call.leave());
    }
}

impl Home {
    /// Polls the call if it is here. One that has not ended stays, unless it was woken meanwhile.
    fn poll(self: &Arc<Self>) {
        let Some(mut task) = self.take(Place::Polled { woken: false }) else { return };
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        // A call that panics must not take others with it; its reply tells.
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
        let is_pending = matches!(polled, Ok(Poll::Pending));

        let mut place = self.place();
        if is_pending && matches!(*place, Place::Polled { woken: false }) {
            self.environment.at_home().insert(self.number, self.clone());
            *place = Place::Here(task);
            return;
        }
        *place = Place::Gone;
        drop(place);
        self.environment.at_home().remove(&self.number);
        if is_pending {
            self.environment.spawn(self.number, task, self.is_acquire);
        }
    }

    /// Ends the call if it is here, and says so; an attempt that is under way is undone in the
    /// background.
    pub fn end(&self) -> bool {
        self.take(Place::Gone).is_some()
    }

    /// Whether it takes a lock.
    pub fn is_acquire(&self) -> bool {
        self.is_acquire
    }

    /// Moves the call if it is here, or makes it move once it was polled.
    pub fn leave(&self) {
        if let Place::Polled { woken } = &mut *self.place() {
            *woken = true;
        }
        if let Some(task) = self.take(Place::Gone) {
            self.environment.at_home().remove(&self.number);
            self.environment.spawn(self.number, task, self.is_acquire);
        }
    }

    fn take(&self, next: Place) -> Option<Task> {
        let mut place = self.place();
        match std::mem::replace(&mut *place, next) {
            Place::Here(task) => Some(task),
            other => {
                *place = other;
                None
            }
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        lock(&self.place)
    }
}

impl Wake for Home {
    fn wake(self: Arc<Self>) {
        let away = ANSWERED.with_borrow_mut(|answered| match answered {
            Some(answered) if answered.environment == Arc::as_ptr(&self.environment) => {
                answered.calls.push_back(self.clone());
                false
            }
            _ => true,
        });
        if away {
            self.leave();
        }
    }
}
