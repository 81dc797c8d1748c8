//! The one tokio thread of the process. All environments share it; a blocked event loop does
//! not stop it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::completion::{Grant, Outcome};
use super::environment::{Environment, Reply};
use crate::backend::{Store, Text};
use crate::error::Error;
use crate::locker::{Acquire, Locker};

/// What JavaScript asks the tokio thread to do.
pub enum Command {
    /// Make a call and complete it.
    Call {
        /// Who waits for the completion.
        environment: Arc<Environment>,
        /// The number of the call.
        call: u32,
        /// Where; `None` if it was closed.
        locker: Option<Arc<Locker<Store>>>,
        /// What.
        work: Work,
    },
    /// End a call.
    Abort {
        /// Whose.
        environment: Arc<Environment>,
        /// The number of the call.
        call: u32,
    },
}

/// What a call does.
pub enum Work {
    /// [`Locker::acquire`].
    Acquire(Acquire),
    /// [`Locker::release`].
    Release {
        /// The lock's key.
        key: Text,
        /// The lock's id.
        id: Text,
    },
    /// [`Locker::extend`].
    Extend {
        /// The lock's key.
        key: Text,
        /// The lock's id.
        id: Text,
        /// The new time to live.
        milliseconds: f64,
    },
    /// [`Locker::read`].
    Read {
        /// The lock's key.
        key: Text,
    },
}

struct Runtime {
    commands: UnboundedSender<Vec<Command>>,
    handle: Handle,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let (commands, received) = unbounded_channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has no event queue to give");
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("dist-lock".into())
        .spawn(move || runtime.block_on(run(received)))
        .expect("the system has no thread to give");
    Runtime { commands, handle }
});

/// A handle to the tokio thread.
pub fn handle() -> &'static Handle {
    &RUNTIME.handle
}

/// Sends the commands of one tick.
pub fn send(commands: Vec<Command>) {
    if !commands.is_empty() {
        // The receiver lives as long as the process.
        let _ = RUNTIME.commands.send(commands);
    }
}

async fn run(mut received: UnboundedReceiver<Vec<Command>>) {
    while let Some(commands) = received.recv().await {
        for command in commands {
            match command {
                Command::Call { environment, call, locker, work } => {
                    let is_acquire = matches!(work, Work::Acquire(_));
                    let reply = Reply::new(environment.clone(), call);
                    let Some(locker) = locker else {
                        reply.send(Outcome::Failed(Error::Closed));
                        continue;
                    };
                    let task = tokio::spawn(carry_out(reply, locker, work));
                    environment.running(call, task.abort_handle(), is_acquire);
                }
                Command::Abort { environment, call } => environment.abort(call),
            }
        }
        // These are on their way to the server before more are looked at.
        tokio::task::yield_now().await;
    }
}

async fn carry_out(reply: Reply, locker: Arc<Locker<Store>>, work: Work) {
    let outcome = match work {
        Work::Acquire(request) => {
            let (key, ttl): (_, Duration) = (request.key.clone(), request.ttl);
            match locker.acquire(request).await {
                Ok(Some(lock)) => Outcome::Granted(Grant { locker, key, ttl, lock }),
                Ok(None) => Outcome::No,
                Err(error) => Outcome::Failed(error),
            }
        }
        Work::Release { key, id } => Outcome::of_answer(locker.release(&key, &id).await),
        Work::Extend { key, id, milliseconds } => {
            Outcome::of_answer(locker.extend(&key, &id, milliseconds).await)
        }
        Work::Read { key } => Outcome::of_read(locker.read(&key).await),
    };
    reply.send(outcome);
}
