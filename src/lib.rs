//! A distributed lock on Redis: the core of the npm package `dist-lock`.
//!
//! # Layout
//!
//! One call travels down this list and its answer comes back up; each module uses only
//! the ones below it.
//!
//! * [`node`](self) (feature `node`): the binding; converts types, carries completions, knows no rule
//! * [`registry`]: one [`Locker`] per equal [`Settings`] in a process
//! * [`locker`]: one call's life: try, wait, give up; release, extend, read
//!   * [`renewal`]: keeps leases alive, and says when one is over
//!   * `waiting_acquire`: an acquire that has to wait, in the queue or by polling
//!   * `order`: who must not be overtaken; [`early`]: callers who have no place in the queue yet; `gate`:
//!     callers who wait for messages first
//!   * [`polling`]: waiting without a queue; [`line`](mod@line): its callers, in order of arrival
//!   * [`claim`]: the attempts of one acquire; undoes what nobody took; [`tie`]: callers who prevent
//!     one another
//!   * [`waiting`]: waiting in the queue: one beat per key, and grants find their waiter
//!   * [`waiters`]: who of this process waits for which key; [`subscription`]: whether messages reach it
//!   * [`holds`]: the locks this process holds; [`hold`](mod@hold): one of them; [`one_of`]: one as its
//!     release sees it; `thefts`: those that were taken away too early; `agenda`: when somebody looks at one;
//!     `pace`: how many are renewed at a time
//!   * [`patience`]: how long trouble with the server is borne
//!   * [`schedule`]: when an acquire tries again and when it stops; `deadline`: what it says then
//!   * [`lease`]: how long a holder may believe; [`clock`]: what that is measured with; [`clock_watch`]:
//!     whether the store's clock is set
//! * [`backend`]: the atomic steps, in Redis, in memory, or with a majority of several of these
//! * [`notice`]: what a program should know besides answers
//! * [`key`], [`error`], [`id`], [`undo`]: used by all of them
//!
//! The rules live between `locker` and `clock`. They know neither Redis nor Node.

mod agenda;
pub mod backend;
pub mod claim;
pub mod clock;
pub mod clock_watch;
mod deadline;
pub mod early;
mod end;
pub mod error;
mod gate;
pub mod hold;
pub mod holds;
pub mod id;
mod id_hash;
pub mod key;
pub mod lease;
pub mod line;
pub mod locker;
mod mutex;
pub mod notice;
pub mod one_of;
mod order;
mod pace;
pub mod patience;
pub mod polling;
pub mod registry;
pub mod renewal;
pub mod rhythm;
pub mod schedule;
mod stealing;
pub mod subscription;
mod survey;
mod task;
mod thefts;
pub mod tie;
mod together;
pub mod undo;
pub mod waiters;
pub mod waiting;
mod waiting_acquire;

#[cfg(feature = "node")]
mod node;

pub use backend::{Backend, Holder, Settings};
pub use error::{Cause, Error, Result};
pub use locker::{Acquire, Lock, Locker};
