//! A link whose bytes are written and read on the thread whose calls it carries, so that no call
//! has to go to the tokio thread and back: two changes of threads cost more than the script.
//!
//! The tokio thread opens it; then the thread it belongs to writes through Rust and reads by its
//! own event loop, which hands the bytes in.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::batch::{self, Batch, Pending};
use super::connection::Unanswered;
use super::opener::{NextTry, Opener};
use super::primary::Left;
use super::socket::Handover;
use super::wire::Wire;
use crate::error::{Cause, Error};
use crate::mutex::lock;
use crate::task::Task;

/// Tells the thread that its link is open and waits to be [attached](Direct::attach).
pub type Opened = Box<dyn Fn() + Send + Sync>;

thread_local! {
    /// The link that the steps of the call that is being polled on this thread go over.
    static HERE: RefCell<Option<Arc<Direct>>> = const { RefCell::new(None) };
}

/// Puts a step on the link of the call that is being polled, or returns it if there is none.
pub fn put(pending: Pending) -> Option<Pending> {
    HERE.with_borrow(|here| match here {
        Some(direct) => {
            direct.state().outbox.push(pending);
            None
        }
        None => Some(pending),
    })
}

/// One thread's own link to a server. It is opened by the first steps that are put on it, and
/// again when it broke.
pub struct Direct {
    opener: Arc<Opener>,
    /// Steps under way on the tokio thread's connection to the same server.
    elsewhere: Arc<Unanswered>,
    opened: Opened,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    next_try: Option<NextTry>,
    /// Steps that leave at the next flush, or once the link is open.
    outbox: Vec<Pending>,
    /// Nobody puts anything on it any more: it closes with its last answer.
    is_retired: bool,
    /// Closes it when its server is the primary no more.
    leaving: Option<Task>,
}

enum Phase {
    Closed,
    /// On the tokio thread.
    Opening,
    /// To be attached.
    Waiting(Handover, Left),
    Open(Wire),
}

impl Direct {
    pub(super) fn new(
        opener: Arc<Opener>,
        elsewhere: Arc<Unanswered>,
        opened: Opened,
    ) -> Arc<Self> {
        let state = State {
            phase: Phase::Closed,
            next_try: Some(NextTry::default()),
            outbox: Vec::new(),
            is_retired: false,
            leaving: None,
        };
        let state = Mutex::new(state);
        Arc::new(Direct { opener, elsewhere, opened, state })
    }

    /// Runs `poll`, whose steps are put on this link.
    pub fn carry<T>(self: &Arc<Self>, poll: impl FnOnce() -> T) -> T {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                HERE.set(None);
            }
        }
        HERE.set(Some(self.clone()));
        let _reset = Reset;
        poll()
    }

    /// Whether no step is under way here.
    pub fn is_quiet(&self) -> bool {
        self.state().is_quiet()
    }

    /// Whether no step is under way on the tokio thread's connection.
    pub fn is_quiet_elsewhere(&self) -> bool {
        !self.elsewhere.any()
    }

    /// Whether somebody is about to join the queue over the tokio thread's connection.
    pub fn is_joined_elsewhere(&self) -> bool {
        self.elsewhere.any_joins()
    }

    /// Whether there is a connection now.
    pub fn is_open(&self) -> bool {
        matches!(self.state().phase, Phase::Open(_))
    }

    /// Whether it is closed for good.
    pub fn is_gone(&self) -> bool {
        let state = self.state();
        state.is_retired && matches!(state.phase, Phase::Closed)
    }

    /// Puts a step behind those of the same lock that are under way here, or returns it if there
    /// are none. A release must not overtake its acquire: the lock would be left to nobody.
    pub(super) fn follow(self: &Arc<Self>, lock: &str, pending: Pending) -> Option<Pending> {
        let mut state = self.state();
        if !state.concerns(lock) {
            return Some(pending);
        }
        state.outbox.push(pending);
        drop(state);
        self.flush();
        None
    }

    /// Sends what was put on the link, after opening it if need be.
    pub fn flush(self: &Arc<Self>) {
        let mut state = self.state();
        if state.outbox.is_empty() {
            return;
        }
        match &state.phase {
            Phase::Open(wire) if !wire.is_spent() => self.send(&mut state),
            Phase::Open(_) | Phase::Closed => {
                state.phase = Phase::Opening;
                tokio::spawn(self.clone().open());
            }
            Phase::Opening | Phase::Waiting(..) => {}
        }
    }

    async fn open(self: Arc<Self>) {
        let mut next_try = self.state().next_try.take().unwrap_or_default();
        let opened = self.opener.handover(&mut next_try).await;
        let mut state = self.state();
        state.next_try = Some(next_try);
        match opened {
            Ok((handover, left)) => {
                state.phase = Phase::Waiting(handover, left);
                drop(state);
                (self.opened)();
            }
            Err(error) => {
                state.phase = Phase::Closed;
                let outbox = std::mem::take(&mut state.outbox);
                let is_retired = state.is_retired;
                drop(state);
                batch::fail(outbox, &error);
                if is_retired {
                    // Nothing to attach; but whoever keeps the link may now forget it.
                    (self.opened)();
                }
            }
        }
    }

    /// Takes the link that was opened: the number of the descriptor to read from, which is then
    /// the caller's to close. `None`: it is not wanted any more.
    pub fn attach(self: &Arc<Self>) -> Option<i32> {
        let mut state = self.state();
        let (handover, left) = match std::mem::replace(&mut state.phase, Phase::Closed) {
            Phase::Waiting(handover, left) => (handover, left),
            other => {
                state.phase = other;
                return None;
            }
        };
        if state.is_retired && state.is_quiet() {
            return None;
        }
        let (descriptor, socket) = handover.split();
        state.phase = Phase::Open(Wire::new(self.opener.clone(), socket));
        let leaves = || Task::start(leave(Arc::downgrade(self), left));
        state.leaving = self.opener.finds_primary().then(leaves);
        self.send(&mut state);
        Some(descriptor)
    }

    /// Takes what was read, and answers the steps it is the reply to.
    pub fn receive(self: &Arc<Self>, bytes: &[u8]) {
        let mut state = self.state();
        let Phase::Open(wire) = &mut state.phase else { return };
        match wire.receive(bytes) {
            Ok(false) => {}
            Ok(true) => drop(tokio::spawn(self.clone().send_on())),
            Err(cause) => {
                self.opener.reach().lost(&cause.message);
                return lose(state, cause);
            }
        }
        if state.is_retired && state.is_quiet() {
            lose(state, Cause::new("the connection was closed"));
        }
    }

    /// The connection is gone.
    pub fn hang_up(&self, cause: Cause) {
        let state = self.state();
        if let Phase::Open(wire) = &state.phase {
            wire.forget_unsent();
            self.opener.reach().lost(&cause.message);
            lose(state, cause);
        }
    }

    /// How long the step that is under way for the longest time has been so.
    pub fn age(&self) -> Option<Duration> {
        match &self.state().phase {
            Phase::Open(wire) => wire.age(),
            _ => None,
        }
    }

    /// Whether the reply to some step is overdue.
    pub fn is_overdue(&self) -> bool {
        self.age().is_some_and(|age| age >= self.opener.command_timeout())
    }

    /// Gives the connection up if the reply to some step is overdue.
    pub fn check(&self) {
        if self.is_overdue() {
            self.hang_up(Cause::timeout("no reply", self.opener.command_timeout()));
        }
    }

    /// Nobody will put anything on it any more: it closes with its last answer.
    pub fn retire(&self) {
        let mut state = self.state();
        state.is_retired = true;
        if state.is_quiet() {
            lose(state, Cause::new("the connection was closed"));
        }
    }

    /// Closes it now; steps that are under way fail.
    pub fn close(&self) {
        lose(self.state(), Cause::new("the thread that asked has ended"));
    }

    fn send(self: &Arc<Self>, state: &mut State) {
        let mut steps = std::mem::take(&mut state.outbox);
        // Who gave up in the meantime must not be granted anything.
        steps.retain(|pending| !pending.answer.is_closed());
        let Phase::Open(wire) = &mut state.phase else { return };
        if !steps.is_empty() && wire.send(Batch::of(steps)) {
            tokio::spawn(self.clone().send_on());
        }
    }

    /// Sends what the system did not take at once.
    async fn send_on(self: Arc<Self>) {
        loop {
            let writable = match &self.state().phase {
                Phase::Open(wire) => wire.writable(),
                _ => return,
            };
            // Where this fails, the step is overdue in the end.
            let Ok(writable) = writable else { return };
            let _ = writable.await;
            let Phase::Open(wire) = &mut self.state().phase else { return };
            // Of an error hears whoever reads.
            if wire.send_on().unwrap_or(true) {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn is_quiet(&self) -> bool {
        let is_quiet = match &self.phase {
            Phase::Open(wire) => wire.is_quiet(),
            _ => true,
        };
        is_quiet && self.outbox.is_empty()
    }

    /// Whether a step of this lock is under way.
    fn concerns(&self, lock: &str) -> bool {
        let is_sent = match &self.phase {
            Phase::Open(wire) => wire.concerns(lock),
            _ => false,
        };
        is_sent || self.outbox.iter().any(|pending| pending.step.concerns(lock))
    }
}

/// Closes a link once its server was left.
async fn leave(direct: Weak<Direct>, mut left: Left) {
    left.until().await;
    if let Some(direct) = direct.upgrade() {
        direct.hang_up(Cause::new("another server is the primary now"));
    }
}

/// Gives up what is open; all steps fail.
fn lose(mut state: MutexGuard<'_, State>, cause: Cause) {
    let phase = match &state.phase {
        // It ends by itself.
        Phase::Opening => Phase::Opening,
        _ => Phase::Closed,
    };
    let phase = std::mem::replace(&mut state.phase, phase);
    let outbox = std::mem::take(&mut state.outbox);
    drop(state);
    if let Phase::Open(wire) = phase {
        wire.end(cause.clone());
    }
    batch::fail(outbox, &Error::Unreachable(cause));
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}
