//! The one tokio thread of the process. All environments share it; a blocked event loop does
//! not stop it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::completion::{Grant, Outcome};
use super::environment::{Environment, Reply};
use crate::backend::{Store, Text};
use crate::error::Error;
use crate::locker::{Acquire, Locker};

/// Several round trips to a server nearby, and short enough that a call which is cancelled
/// meanwhile is not noticed to go on.
const MOMENT: Duration = Duration::from_millis(2);

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
        let mut together = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                Command::Call { environment, call, locker, work } => {
                    let reply = Reply::new(environment.clone(), call);
                    let Some(locker) = locker else {
                        reply.send(Outcome::Failed(Error::Closed));
                        continue;
                    };
                    let is_acquire = matches!(work, Work::Acquire(_));
                    let task = Box::pin(carry_out(reply, locker, work));
                    together.push(Started { environment, call, is_acquire, task });
                }
                Command::Abort { environment, call } => environment.abort(call),
            }
        }
        if !together.is_empty() {
            tokio::spawn(carry_out_together(together));
        }
        // These are on their way to the server before more are looked at.
        tokio::task::yield_now().await;
    }
}

/// A call that has begun.
struct Started<F> {
    environment: Arc<Environment>,
    call: u32,
    is_acquire: bool,
    task: Pin<Box<F>>,
}

/// Calls that came together are mostly answered together, after one round trip. So they share a
/// task for a moment, which costs much less than one each; those that have to wait for longer
/// then get one.
async fn carry_out_together<F>(mut calls: Vec<Started<F>>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut moment = pin!(sleep(MOMENT));
    poll_fn(|context| {
        calls.retain_mut(|call| call.task.as_mut().poll(context).is_pending());
        match calls.is_empty() {
            true => Poll::Ready(()),
            false => moment.as_mut().poll(context),
        }
    })
    .await;
    for Started { environment, call, is_acquire, task } in calls {
        let task = tokio::spawn(task);
        environment.running(call, task.abort_handle(), is_acquire);
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
