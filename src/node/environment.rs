//! One JavaScript environment (the main thread or a worker) and its mailbox.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use napi::Status;
use napi::bindgen_prelude::Env;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::completion::{Completion, FIELDS, Outcome};
use super::home::{Home, Task};
use super::links::Links;
use super::runtime::{self, Command};
use super::submission::Owner;
use crate::backend::redis::settings::Login;
use crate::error::{Cause, Error, Result};
use crate::holds::End;
use crate::mutex::lock;
use crate::notice::{self, Event, Listen, Notice};

/// Wakes the environment's event loop.
pub type Waker = ThreadsafeFunction<(), (), (), Status, false>;

/// One JavaScript environment.
pub struct Environment {
    waker: Waker,
    mailbox: Mutex<Mailbox>,
    /// Tells calls that are aborted before they take their time.
    aborted: Notify,
    /// What was taken out of the mailbox and not yet drained. Only the own thread uses it.
    taken: Mutex<VecDeque<Completion>>,
    /// Calls JavaScript waits for; while there are any, the process stays alive.
    pending: AtomicU32,
    /// The calls that are on the own thread.
    at_home: Mutex<HashMap<u32, Arc<Home>>>,
    /// Calls on their way to the tokio thread, which has not begun them.
    on_the_way: AtomicUsize,
    /// The direct links of the own thread.
    links: Mutex<Links>,
    /// Its number in the process.
    number: u32,
    /// Gone when nobody is left here who could release a lock.
    alive: Mutex<Option<Arc<()>>>,
}

static ENVIRONMENTS: AtomicU32 = AtomicU32::new(0);

#[derive(Default)]
struct Mailbox {
    closed: bool,
    /// JavaScript drains it in a moment, and need not be woken.
    is_watched: bool,
    full: Vec<Completion>,
    /// Calls that were cancelled and have not ended yet.
    cancelled: HashSet<u32>,
    /// The calls that take their time, and which of them are acquires.
    running: HashMap<u32, (AbortHandle, bool)>,
    /// Requests for credentials that JavaScript has not answered.
    asked: HashMap<u32, oneshot::Sender<Result<Option<Login>>>>,
    next_request: u32,
}

impl Environment {
    /// An environment that is woken by `waker`, which no longer keeps it alive.
    pub fn new(env: &Env, waker: Waker) -> Arc<Self> {
        let environment = Environment {
            waker,
            mailbox: Mutex::default(),
            aborted: Notify::new(),
            taken: Mutex::default(),
            pending: AtomicU32::new(0),
            at_home: Mutex::default(),
            on_the_way: AtomicUsize::new(0),
            links: Mutex::default(),
            number: ENVIRONMENTS.fetch_add(1, Ordering::Relaxed),
            alive: Mutex::new(Some(Arc::default())),
        };
        environment.keep_alive(env, false);
        let environment = Arc::new(environment);
        let listener: Weak<Self> = Arc::downgrade(&environment);
        notice::listen(listener);
        environment
    }

    /// Whose locks the calls of this environment take.
    pub fn owner(&self) -> Owner {
        let alive = lock(&self.alive).as_ref().map_or_else(Weak::new, Arc::downgrade);
        Owner { number: self.number, alive }
    }

    /// Tells JavaScript that the lock it watches under `number` has ended.
    pub fn ended(self: &Arc<Self>, number: u32, end: End) {
        let completion = Completion { call: number, outcome: Outcome::Ended(end) };
        self.post(lock(&self.mailbox), completion);
    }

    /// JavaScript waits for the completions of `count` more calls.
    pub fn expect(&self, env: &Env, count: u32) {
        if self.pending.fetch_add(count, Ordering::Relaxed) == 0 {
            self.keep_alive(env, true);
        }
    }

    /// The calls that are on the own thread, by number.
    pub fn at_home(&self) -> MutexGuard<'_, HashMap<u32, Arc<Home>>> {
        lock(&self.at_home)
    }

    /// Calls that the tokio thread has not begun.
    pub fn on_the_way(&self) -> &AtomicUsize {
        &self.on_the_way
    }

    /// The direct links of the own thread.
    pub fn links(&self) -> MutexGuard<'_, Links> {
        lock(&self.links)
    }

    /// JavaScript [drains](Self::drain) in a moment.
    pub fn watch(&self) {
        lock(&self.mailbox).is_watched = true;
    }

    /// Ends a call. Its completion is [`Outcome::Cancelled`], or whatever it had ended with
    /// already, save that a lock goes straight back.
    pub fn cancel(self: &Arc<Self>, call: u32) {
        let home = self.at_home().remove(&call);
        if home.is_some_and(|home| home.end()) {
            return;
        }
        let mut taken = lock(&self.taken);
        let mut mailbox = lock(&self.mailbox);
        let is_its_end = |completion: &&mut Completion| {
            completion.call == call && completion.outcome.is_end_of_call()
        };
        match taken.iter_mut().chain(&mut mailbox.full).find(is_its_end) {
            Some(completion) => {
                if matches!(completion.outcome, Outcome::Granted(_)) {
                    give_back(std::mem::replace(&mut completion.outcome, Outcome::Cancelled));
                }
            }
            None => {
                mailbox.cancelled.insert(call);
                runtime::send(self.clone(), vec![Command::Abort { call }]);
            }
        }
    }

    /// Moves completions into `numbers` (their count first) and returns their texts.
    pub fn drain(&self, env: &Env, numbers: &mut [f64]) -> String {
        let (count, records) = numbers.split_first_mut().expect("there is room for the count");
        let mut taken = lock(&self.taken);
        if taken.is_empty() {
            // Taken all at once, so that the tokio thread need not wait while they are written.
            let mut mailbox = lock(&self.mailbox);
            mailbox.is_watched = false;
            taken.extend(std::mem::take(&mut mailbox.full));
        }
        let most = taken.len().min(records.len() / FIELDS);
        let mut texts = String::with_capacity(32 * most);
        let mut ended = 0;
        for (completion, record) in taken.drain(..most).zip(records.chunks_exact_mut(FIELDS)) {
            ended += u32::from(completion.outcome.is_end_of_call());
            completion.write(record, &mut texts);
        }
        *count = most as f64;
        if ended > 0 && self.pending.fetch_sub(ended, Ordering::Relaxed) == ended {
            self.keep_alive(env, false);
        }
        texts
    }

    /// The environment ends: nobody is left to take what its calls bring.
    pub fn close(&self) {
        let _runtime = runtime::handle().enter();
        lock(&self.mailbox).closed = true;
        // A release or an extend may still do its work; a lock would be nobody's.
        let at_home: Vec<_> = self.at_home().drain().map(|(_, call)| call).collect();
        for call in at_home {
            match call.is_acquire() {
                true => drop(call.end()),
                false => call.leave(),
            }
        }
        let links = self.links().take();
        // After what undoes those acquires has followed them on their links.
        runtime::handle().spawn(async move { links.iter().for_each(|link| link.close()) });

        let mut taken = lock(&self.taken);
        lock(&self.alive).take();
        let mut mailbox = lock(&self.mailbox);
        mailbox.asked.clear();
        for (_, (call, is_acquire)) in mailbox.running.drain() {
            if is_acquire {
                call.abort();
            }
        }
        for completion in taken.drain(..).chain(mailbox.full.drain(..)) {
            give_back(completion.outcome);
        }
    }

    /// Remembers how to end a call that takes its time, unless it is to end already.
    pub fn running(&self, call: u32, task: AbortHandle, is_acquire: bool) {
        let mut mailbox = lock(&self.mailbox);
        if mailbox.cancelled.contains(&call) || (mailbox.closed && is_acquire) {
            task.abort();
        } else if !task.is_finished() {
            mailbox.running.insert(call, (task, is_acquire));
        }
    }

    /// Spawns a call that moves to the tokio thread, unless it is to end already.
    pub fn spawn(&self, call: u32, task: Task, is_acquire: bool) {
        let mut mailbox = lock(&self.mailbox);
        if mailbox.cancelled.contains(&call) || (mailbox.closed && is_acquire) {
            drop(mailbox);
            return drop(task);
        }
        // It cannot end, which takes the mailbox, before it is known how to end it.
        let task = runtime::handle().spawn(task).abort_handle();
        mailbox.running.insert(call, (task, is_acquire));
    }

    /// Ends a call that was cancelled.
    pub fn abort(&self, call: u32) {
        match lock(&self.mailbox).running.remove(&call) {
            Some((task, _)) => task.abort(),
            None => self.aborted.notify_waiters(),
        }
    }

    /// Waits until a call is aborted that does not take its time.
    pub async fn hears_of_abort(&self) {
        self.aborted.notified().await;
    }

    /// Whether a call is to end.
    pub fn is_cancelled(&self, call: u32) -> bool {
        lock(&self.mailbox).cancelled.contains(&call)
    }

    /// Asks JavaScript for the credentials of a provider.
    pub async fn ask(self: &Arc<Self>, provider: u32) -> Result<Option<Login>> {
        let gone = || Error::Unreachable(Cause::new("the thread that knows the password ended"));
        self.request(provider).await.unwrap_or_else(|_| Err(gone()))
    }

    fn request(self: &Arc<Self>, provider: u32) -> oneshot::Receiver<Result<Option<Login>>> {
        let (answer, answered) = oneshot::channel();
        let mut mailbox = lock(&self.mailbox);
        let request = mailbox.next_request;
        mailbox.next_request = request.wrapping_add(1);
        mailbox.asked.insert(request, answer);
        self.post(mailbox, Completion { call: request, outcome: Outcome::Ask { provider } });
        answered
    }

    /// JavaScript's answer to a request for credentials.
    pub fn answer(&self, request: u32, login: Result<Option<Login>>) {
        if let Some(answer) = lock(&self.mailbox).asked.remove(&request) {
            // Whoever asked may have given up.
            let _ = answer.send(login);
        }
    }

    /// A direct link is open and waits for its thread.
    pub fn opened(self: &Arc<Self>, link: u32) {
        self.post(lock(&self.mailbox), Completion { call: link, outcome: Outcome::Opened });
    }

    fn complete(self: &Arc<Self>, call: u32, outcome: Outcome) {
        let mut mailbox = lock(&self.mailbox);
        mailbox.running.remove(&call);
        let outcome = match mailbox.cancelled.remove(&call) {
            true => {
                give_back(outcome);
                Outcome::Cancelled
            }
            false => outcome,
        };
        self.post(mailbox, Completion { call, outcome });
    }

    /// Puts a completion into the mailbox and wakes JavaScript if it was empty.
    fn post(self: &Arc<Self>, mut mailbox: MutexGuard<'_, Mailbox>, completion: Completion) {
        if mailbox.closed {
            return give_back(completion.outcome);
        }
        mailbox.full.push(completion);
        let was_empty = mailbox.full.len() == 1 && !mailbox.is_watched;
        // Waking takes a while; JavaScript must not wait for it.
        drop(mailbox);
        if was_empty {
            // After what is ready now: answers of one read are one wake-up.
            let environment = self.clone();
            runtime::handle().spawn(async move {
                environment.waker.call((), ThreadsafeFunctionCallMode::NonBlocking);
            });
        }
    }

    fn keep_alive(&self, env: &Env, alive: bool) {
        let waker = self.waker.raw();
        // SAFETY: this runs on the environment's own thread while the environment lives, and
        // the waker was made in it and is not released before it ends.
        unsafe {
            match alive {
                true => napi::sys::napi_ref_threadsafe_function(env.raw(), waker),
                false => napi::sys::napi_unref_threadsafe_function(env.raw(), waker),
            };
        }
    }
}

impl Listen for Environment {
    fn notice(self: Arc<Self>, notice: &Notice) -> bool {
        let mailbox = lock(&self.mailbox);
        let is_open = !mailbox.closed;
        let outcome = Outcome::Notice(notice.clone());
        self.post(mailbox, Completion { call: 0, outcome });
        is_open
    }

    fn event(self: Arc<Self>, event: &Event) {
        let outcome = Outcome::Event(event.clone());
        self.post(lock(&self.mailbox), Completion { call: 0, outcome });
    }
}

/// The promise to complete a call: kept even if the task that holds it is aborted or panics.
pub struct Reply {
    environment: Arc<Environment>,
    call: u32,
    sent: bool,
}

impl Reply {
    /// The reply to a call of `environment`.
    pub fn new(environment: Arc<Environment>, call: u32) -> Self {
        Reply { environment, call, sent: false }
    }

    /// Completes the call.
    pub fn send(mut self, outcome: Outcome) {
        self.sent = true;
        self.environment.complete(self.call, outcome);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent {
            let outcome = match std::thread::panicking() {
                true => Outcome::Failed(Error::Unknown(Cause::new("a bug in dist-lock"))),
                false => Outcome::Cancelled,
            };
            self.environment.complete(self.call, outcome);
        }
    }
}

fn give_back(outcome: Outcome) {
    if let Outcome::Granted(grant) = outcome {
        grant.give_back();
    }
}
