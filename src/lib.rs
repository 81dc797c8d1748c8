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
//!   * [`patience`]: how long trouble with the server is borne
//!   * [`schedule`]: when an acquire tries again and when it stops
//!   * [`line`](mod@line): the callers of this process that wait for one key, in order of arrival
//!   * [`claim`]: the attempts of one acquire; undoes what nobody took
//! * [`backend`]: the atomic steps, in Redis or in memory
//! * [`error`], [`id`]: words used by all of them
//!
//! The rules live in `locker`, `schedule`, `line` and `claim`. They know neither Redis nor Node.

pub mod backend;
pub mod claim;
pub mod error;
pub mod id;
pub mod line;
pub mod locker;
pub mod patience;
pub mod registry;
pub mod schedule;

#[cfg(feature = "node")]
mod node;

pub use backend::{Backend, Holder, Settings};
pub use error::{Cause, Error, Result};
pub use locker::{Acquire, Lock, Locker};
