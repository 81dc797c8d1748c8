//! The one tokio thread of the process. All environments share it; a blocked event loop does
//! not stop it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle};
use tokio::select;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::completion::{Grant, Outcome};
use super::environment::{Environment, Reply};
use super::home::Task;
use super::submission::Submissions;
use crate::backend::{Store, Text};
use crate::error::Error;
use crate::holds::Past;
use crate::locker::{Acquire, Locker};

/// Many round trips to a server nearby; enough for connecting to it.
const MOMENT: Duration = Duration::from_millis(20);

/// What JavaScript asks the tokio thread to do.
pub enum Command {
    /// Make a call and complete it.
    Call {
        /// The number of the call.
        call: u32,
        /// Where; `None` if it was closed.
        locker: Option<Arc<Locker<Store>>>,
        /// What.
        work: Work,
    },
    /// Make some calls and complete them.
    Calls(Submissions),
    /// End a call.
    Abort {
        /// The number of the call.
        call: u32,
    },
}

impl Command {
    /// How many calls it makes.
    fn count(&self) -> usize {
        match self {
            Command::Call { .. } => 1,
            Command::Calls(calls) => calls.count(),
            Command::Abort { .. } => 0,
        }
    }
}

/// What a call does.
pub enum Work {
    /// [`Locker::acquire`].
    Acquire(Box<Acquire>),
    /// [`Locker::acquire_all`].
    AcquireAll(Vec<Text>, Box<Acquire>),
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
    /// [`Locker::force_release`].
    ForceRelease {
        /// The lock's key.
        key: Text,
    },
    /// [`Locker::query`].
    Query {
        /// How the keys begin.
        prefix: Text,
    },
    /// [`Locker::mode`].
    Mode,
    /// [`Locker::describe`].
    Describe,
}

impl Work {
    /// The lock or locks that it takes, if it does.
    pub fn acquires(&self) -> Option<&Acquire> {
        match self {
            Work::Acquire(request) | Work::AcquireAll(_, request) => Some(request),
            _ => None,
        }
    }
}

/// Who asks, and for what.
type Submitted = (Arc<Environment>, Vec<Command>);

struct Runtime {
    commands: UnboundedSender<Submitted>,
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

/// Sends what an environment asks for in one tick.
pub fn send(environment: Arc<Environment>, commands: Vec<Command>) {
    environment.on_the_way().fetch_add(1, Ordering::SeqCst);
    // The receiver lives as long as the process.
    let _ = RUNTIME.commands.send((environment, commands));
}

/// Commands that were sent and not begun; dropped when they are.
struct OnTheWay(Arc<Environment>);

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.0.on_the_way().fetch_sub(1, Ordering::SeqCst);
    }
}

async fn run(mut received: UnboundedReceiver<Submitted>) {
    while let Some((environment, commands)) = received.recv().await {
        let on_the_way = OnTheWay(environment.clone());
        let mut together = Vec::with_capacity(commands.iter().map(Command::count).sum());
        let mut start = |call, locker, work: Work| {
            let reply = Reply::new(environment.clone(), call);
            let Some(locker) = locker else {
                return reply.send(Outcome::Failed(Error::Closed));
            };
            let is_acquire = work.acquires().is_some();
            let task = carry_out(reply, locker, work);
            together.push(Started { number: call, is_acquire, task });
        };
        for command in commands {
            match command {
                Command::Call { call, locker, work } => start(call, locker, work),
                Command::Calls(calls) => {
                    calls.calls().for_each(|(call, locker, work)| start(call, locker, work));
                }
                Command::Abort { call } => environment.abort(call),
            }
        }
        if !together.is_empty() {
            tokio::spawn(carry_out_together(environment, together, on_the_way));
        }
        // These are on their way to the server before more are looked at.
        tokio::task::yield_now().await;
    }
}

/// A call that has begun.
struct Started {
    number: u32,
    is_acquire: bool,
    task: Task,
}

/// Calls that came together are mostly answered together, after one round trip. So they share a
/// task for a moment, which costs much less than one each; those that have to wait for longer
/// then get one.
async fn carry_out_together(
    environment: Arc<Environment>,
    mut calls: Vec<Started>,
    on_the_way: OnTheWay,
) {
    let mut on_the_way = Some(on_the_way);
    let mut moment = pin!(sleep(MOMENT));
    while !calls.is_empty() {
        let all = poll_fn(|context| {
            calls.retain_mut(|call| call.task.as_mut().poll(context).is_pending());
            on_the_way = None;
            if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        select! {
            biased;
            () = all => return,
            () = environment.hears_of_abort() => {
                // Dropping a call ends it.
                calls.retain(|call| !environment.is_cancelled(call.number));
            }
            () = &mut moment => break,
        }
    }
    for Started { number, is_acquire, task } in calls {
        let task = tokio::spawn(task);
        environment.running(number, task.abort_handle(), is_acquire);
    }
}

/// Makes a call and completes it.
pub fn carry_out(reply: Reply, locker: Arc<Locker<Store>>, work: Work) -> Task {
    match work {
        Work::Acquire(request) => complete(reply, acquire(locker, request)),
        Work::AcquireAll(keys, request) => complete(reply, acquire_all(locker, keys, request)),
        Work::Release { key, id } => {
            complete(reply, async move { Outcome::of_answer(locker.let_go(&key, &id).await) })
        }
        Work::Extend { key, id, milliseconds } => complete(reply, async move {
            let token = locker.holds().token(&id);
            let extended = locker.extend(&key, &id, milliseconds).await;
            let past = Past { token, held: None };
            Outcome::of_answer(extended.map(|extended| extended.then_some(past)))
        }),
        Work::Read { key } => {
            complete(reply, async move { Outcome::of_read(locker.read(&key).await) })
        }
        Work::ForceRelease { key } => complete(reply, async move {
            let past = Past { token: None, held: None };
            let released = locker.force_release(&key).await;
            Outcome::of_answer(released.map(|released| released.then_some(past)))
        }),
        Work::Query { prefix } => {
            complete(reply, async move { Outcome::of_query(locker.query(&prefix).await) })
        }
        Work::Mode => complete(reply, async move { Outcome::of_mode(locker.mode().await) }),
        Work::Describe => {
            complete(reply, async move { Outcome::of_description(locker.describe().await) })
        }
    }
}

/// A task for `work` alone, which takes no more memory than this kind of work does.
fn complete(reply: Reply, work: impl Future<Output = Outcome> + Send + 'static) -> Task {
    Box::pin(work.map(|outcome| reply.send(outcome)))
}

async fn acquire(locker: Arc<Locker<Store>>, request: Box<Acquire>) -> Outcome {
    let (key, ttl): (_, Duration) = (request.key.clone(), request.ttl);
    match locker.acquire(*request).await {
        Ok(Some(lock)) => {
            let others = Vec::new();
            Outcome::Granted(Grant { locker, key, ttl, lock, others })
        }
        Ok(None) => Outcome::No,
        Err(error) => Outcome::Failed(error),
    }
}

async fn acquire_all(
    locker: Arc<Locker<Store>>,
    keys: Vec<Text>,
    request: Box<Acquire>,
) -> Outcome {
    let ttl = request.ttl;
    match locker.acquire_all(keys.clone(), *request).await {
        Ok(Some(locks)) => {
            let mut locks = keys.into_iter().zip(locks);
            match locks.next() {
                Some((key, lock)) => {
                    let others = locks.collect();
                    Outcome::Granted(Grant { locker, key, ttl, lock, others })
                }
                None => Outcome::No,
            }
        }
        Ok(None) => Outcome::No,
        Err(error) => Outcome::Failed(error),
    }
}
