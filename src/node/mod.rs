//! The binding to Node: types on both sides, calls in, completions out. No lock rule here.
//!
//! JavaScript numbers its pending calls and submits those of one tick together ([`submission`])
//! to its [`engine`], which sends them to the one tokio thread of the process ([`runtime`]), or, a
//! few at a time, begins them where they are ([`home`]) over a connection of that thread's own
//! ([`links`]). Completions gather in the mailbox of the [`environment`], JavaScript is woken once for all of
//! them, and takes them in one crossing ([`completion`]).

mod completion;
mod engine;
mod environment;
mod home;
mod links;
mod listing;
mod runtime;
mod settings;
mod submission;

/// Strings are made on the JavaScript thread and freed on the tokio thread, which the system's
/// allocators are slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
