//! The binding to Node: types on both sides, calls in, completions out. No lock rule here.
//!
//! JavaScript numbers its pending calls. A call hands that number and plain arguments to a
//! function of [`locker`], which puts them into the outbox of its
//! [`environment::Environment`]; the end of the tick sends the outbox to the one tokio thread of
//! the process ([`runtime`]). Completions gather in a mailbox, JavaScript is woken once for all
//! of them, and takes them in one crossing ([`completion`]).

mod completion;
mod engine;
mod environment;
pub mod locker;
mod runtime;
mod settings;

/// Strings are made on the JavaScript thread and freed on the tokio thread, which the system's
/// allocators are slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
