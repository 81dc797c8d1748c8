//! What `lib/engine.js` holds: one per JavaScript environment.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use napi::bindgen_prelude::{Env, Float64ArraySlice, Uint8ArraySlice};
use napi_derive::napi;

use super::environment::{Environment, Waker};
use super::home;
use super::runtime::{self, Command, Work};
use super::settings::ConnectionSettings;
use super::submission::{self, Lockers, Submission, Submissions};
use crate::backend::redis::direct::{self, Direct};
use crate::backend::redis::settings::Login;
use crate::backend::{Backend, Store};
use crate::error::{Cause, Error};
use crate::holds::{End, Holds, State};
use crate::id;
use crate::locker::Locker;
use crate::registry;

/// The most calls of one tick that go over a direct link while it is quiet. More are better off
/// on the tokio thread, where they cost JavaScript's less.
const MOST_DIRECT: u32 = 8;

/// The calls of one JavaScript environment.
#[napi]
pub struct NativeEngine {
    environment: Arc<Environment>,
    lockers: HashMap<u32, Opened>,
    /// What is held in lockers that were closed.
    closed: HashMap<u32, Arc<Holds>>,
    next_locker: u32,
    /// Whether JavaScript can read from a connection that it did not open.
    has_direct_links: bool,
}

/// A locker and the direct link to its server.
struct Opened {
    locker: Arc<Locker<Store>>,
    direct: Option<Arc<Direct>>,
}

#[napi]
impl NativeEngine {
    /// `wake` is called when there are completions to `drain`.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Waker, has_direct_links: bool) -> napi::Result<Self> {
        let environment = Environment::new(&env, wake);
        env.add_env_cleanup_hook(environment.clone(), |environment| environment.close())?;
        let (lockers, closed) = Default::default();
        Ok(NativeEngine { environment, lockers, closed, next_locker: 0, has_direct_links })
    }

    /// Opens the locks that `settings` name and returns the number of their locker; equal
    /// settings share one connection.
    #[napi(catch_unwind)]
    pub fn open(&mut self, settings: ConnectionSettings) -> napi::Result<u32> {
        let settings = settings.read(&self.environment)?;
        let locker = registry::locker(settings)
            .map_err(|error| napi::Error::new(napi::Status::InvalidArg, error.to_string()))?;
        let environment = Arc::downgrade(&self.environment);
        let opened = |link| -> direct::Opened {
            Box::new(move || {
                if let Some(environment) = environment.upgrade() {
                    environment.opened(link);
                }
            })
        };
        let direct = match self.has_direct_links {
            true => self.environment.links().of(&locker, opened),
            false => None,
        };
        let number = self.next_locker;
        self.next_locker = number.wrapping_add(1);
        self.lockers.insert(number, Opened { locker, direct });
        Ok(number)
    }

    /// Closes a locker; its connection closes when nobody else uses it. What is held there is still
    /// known.
    #[napi(catch_unwind)]
    pub fn close(&mut self, locker: u32) {
        let _runtime = runtime::handle().enter();
        if let Some(opened) = self.lockers.remove(&locker) {
            self.environment.links().let_go(&opened.locker);
            self.closed.insert(locker, opened.locker.holds().clone());
        }
    }

    /// Forgets a locker.
    #[napi(catch_unwind)]
    pub fn drop_locker(&mut self, locker: u32) {
        self.close(locker);
        self.closed.remove(&locker);
    }

    /// Starts `count` calls, whose numbers and texts `lib/outbox.js` wrote.
    #[napi(catch_unwind)]
    pub fn submit(&self, env: Env, numbers: Float64ArraySlice, count: u32, texts: String) {
        let numbers = &numbers[..count as usize * submission::FIELDS];
        self.environment.expect(&env, count);
        let owner = self.environment.owner();
        if count > MOST_DIRECT
            && let Some(lockers) = self.quiet(submission::lockers(numbers))
        {
            let calls = Submissions { numbers: numbers.to_vec(), texts, owner, lockers };
            return runtime::send(self.environment.clone(), vec![Command::Calls(calls)]);
        }
        let _runtime = runtime::handle().enter();
        let mut commands = Vec::new();
        let mut last: Option<&Arc<Direct>> = None;
        // Where the last call of a tick went the next one of the same locker goes.
        let mut elsewhere = None;
        for Submission { call, locker: number, work } in submission::read(numbers, &texts, &owner) {
            let opened = self.lockers.get(&number);
            let way = opened.and_then(|opened| opened.direct.as_ref());
            let locker = opened.map(|opened| opened.locker.clone());
            match (way, locker) {
                (Some(way), Some(locker))
                    if elsewhere != Some(number)
                        && !self.is_behind(way, &locker, &work)
                        && self.goes_direct(way, count, &commands) =>
                {
                    if let Some(last) = last.replace(way)
                        && !Arc::ptr_eq(last, way)
                    {
                        last.flush();
                    }
                    home::begin(&self.environment, way, call, locker, work);
                }
                (_, locker) => {
                    if commands.is_empty() {
                        commands.reserve(count as usize);
                    }
                    commands.push(Command::Call { call, locker, work });
                    elsewhere = Some(number);
                }
            }
        }
        if let Some(last) = last {
            last.flush();
        }
        if !commands.is_empty() {
            runtime::send(self.environment.clone(), commands);
        }
    }

    /// The lockers with these numbers, unless something is under way over a direct link of one.
    fn quiet(&self, numbers: Vec<u32>) -> Option<Lockers> {
        let lockers = numbers.into_iter().map(|number| match self.lockers.get(&number) {
            Some(Opened { direct: Some(direct), .. }) if !direct.is_quiet() => None,
            opened => Some((number, opened.map(|opened| opened.locker.clone()))),
        });
        lockers.collect()
    }

    /// Whether an acquire comes behind others that are on their way to the queue over the tokio thread's
    /// connection, or has to wait for messages, which come to that thread. Looked at in the order in which
    /// a call gets there, so that none is missed.
    fn is_behind(&self, direct: &Direct, locker: &Locker<Store>, work: &Work) -> bool {
        work.acquires().is_some_and(|request| {
            self.environment.on_the_way().load(Ordering::SeqCst) > 0
                || locker.is_held_up(request.lines_up)
                || direct.is_joined_elsewhere()
        })
    }

    /// Which way a call goes may change only while none is under way on the other: what was asked
    /// first must come first.
    fn goes_direct(&self, direct: &Direct, count: u32, commands: &[Command]) -> bool {
        !direct.is_quiet()
            || (count <= MOST_DIRECT
                && commands.is_empty()
                && self.environment.on_the_way().load(Ordering::SeqCst) == 0
                && direct.is_quiet_elsewhere())
    }

    /// Takes a direct link that was opened: the descriptor that JavaScript reads from and has to
    /// close. Negative: it is not wanted any more.
    #[napi(catch_unwind)]
    pub fn attach(&self, link: u32) -> i32 {
        let _runtime = runtime::handle().enter();
        let direct = self.environment.links().get(link);
        let descriptor = direct.and_then(|direct| direct.attach());
        if descriptor.is_none() {
            self.environment.links().tidy(link);
        }
        descriptor.unwrap_or(-1)
    }

    /// Takes the first `count` of `bytes`, which came over a direct link, and then drains.
    #[napi(catch_unwind)]
    pub fn receive(
        &self,
        env: Env,
        link: u32,
        bytes: Uint8ArraySlice,
        count: u32,
        mut numbers: Float64ArraySlice,
    ) -> String {
        let _runtime = runtime::handle().enter();
        let direct = self.environment.links().get(link);
        if let Some(direct) = direct {
            self.environment.watch();
            home::answer(&self.environment, || direct.receive(&bytes[..count as usize]));
        }
        // SAFETY: JavaScript, whose thread this is, does not use the array meanwhile.
        let numbers = unsafe { numbers.as_mut() };
        self.environment.drain(&env, numbers)
    }

    /// The connection of a direct link was closed, by the server unless `reason` says otherwise.
    #[napi(catch_unwind)]
    pub fn hang_up(&self, link: u32, reason: Option<String>) {
        let _runtime = runtime::handle().enter();
        let mut cause = Cause::hung_up();
        if let Some(reason) = reason {
            cause.message = reason;
        }
        let direct = self.environment.links().get(link);
        if let Some(direct) = direct {
            direct.hang_up(cause);
            self.environment.links().tidy(link);
        }
    }

    /// What JavaScript has to look after: 0, nothing is under way over the direct links; 1,
    /// something is; 2, some reply seems to be overdue.
    #[napi(catch_unwind)]
    pub fn look(&self) -> u32 {
        let links = self.environment.links();
        let state = |direct: &Arc<Direct>| match direct.age() {
            None => 0,
            Some(_) => 1 + u32::from(direct.is_overdue()),
        };
        links.all().map(state).max().unwrap_or(0)
    }

    /// Gives up the direct links with a reply overdue.
    #[napi(catch_unwind)]
    pub fn check(&self) {
        let _runtime = runtime::handle().enter();
        let links: Vec<_> = self.environment.links().all().cloned().collect();
        links.iter().for_each(|direct| direct.check());
    }

    /// Ends a pending call; it still completes, an acquire without a lock.
    #[napi(catch_unwind)]
    pub fn cancel(&self, call: u32) {
        let _runtime = runtime::handle().enter();
        self.environment.cancel(call);
    }

    /// Moves completions into `numbers`, their count first, and returns their texts. There may
    /// be more when `numbers` is full.
    #[napi(catch_unwind)]
    pub fn drain(&self, env: Env, mut numbers: Float64ArraySlice) -> String {
        // SAFETY: JavaScript, whose thread this is, does not use the array meanwhile.
        let numbers = unsafe { numbers.as_mut() };
        self.environment.drain(&env, numbers)
    }

    /// Answers a request for credentials; `error` says why there are none.
    #[napi(catch_unwind)]
    pub fn answer(
        &self,
        request: u32,
        username: Option<String>,
        password: Option<String>,
        error: Option<String>,
    ) {
        let login = match error {
            Some(error) => Err(Error::Unreachable(Cause::new(error))),
            None => Ok(password.map(|password| Login { username, password })),
        };
        self.environment.answer(request, login);
    }

    /// The milliseconds a holder may still believe in its lock, zero if there is no such lock.
    #[napi(catch_unwind)]
    pub fn remaining(&self, locker: u32, id: String) -> f64 {
        let remaining = self.holds(locker).map(|holds| holds.remaining(&id));
        remaining.map_or(0.0, |remaining| remaining.as_secs_f64() * 1000.0)
    }

    /// What a holder may know of its lock: 0 held, 1 suspect, 2 lost, 3 none is held here.
    #[napi(catch_unwind)]
    pub fn state(&self, locker: u32, id: String) -> u32 {
        match self.holds(locker).map(|holds| holds.state(&id)) {
            Some(State::Held) => 0,
            Some(State::Suspect) => 1,
            Some(State::Lost) => 2,
            Some(State::Gone) | None => 3,
        }
    }

    /// Whether a lock that is lost was taken away, rather than that its lease is over.
    #[napi(catch_unwind)]
    pub fn was_taken(&self, locker: u32, id: String) -> bool {
        self.holds(locker).is_some_and(|holds| holds.loss(&id) == End::Taken)
    }

    /// The milliseconds a lock's time to live was last set to, −1 if there is no such lock.
    #[napi(catch_unwind)]
    pub fn ttl(&self, locker: u32, id: String) -> f64 {
        let ttl = self.holds(locker).and_then(|holds| holds.ttl(&id));
        ttl.map_or(-1.0, |ttl| ttl.as_millis() as f64)
    }

    /// Posts, once, how a lock ended, under a number of JavaScript's.
    #[napi(catch_unwind)]
    pub fn watch(&self, locker: u32, id: String, number: u32) {
        let environment = self.environment.clone();
        let on_end = Box::new(move |end| environment.ended(number, end));
        let Some(locker) = self.locker(locker) else { return on_end(End::Over) };
        let _runtime = runtime::handle().enter();
        locker.watch(&id.into(), on_end);
    }

    /// Renews a lock no more.
    #[napi(catch_unwind)]
    pub fn forget(&self, locker: u32, id: String) {
        if let Some(locker) = self.locker(locker) {
            locker.holds().forget(&id.into());
        }
    }

    /// The name of a group of locks: how their ids begin.
    #[napi(catch_unwind)]
    pub fn client(&self, locker: u32, group: u32) -> String {
        let group = self.environment.owner().group(group);
        let locker = self.locker(locker);
        locker.map_or_else(String::new, |locker| id::client(locker.backend().process(), group))
    }

    /// The keys and ids, in turn, of the locks held in a group.
    #[napi(catch_unwind)]
    pub fn held(&self, locker: u32, group: u32) -> Vec<String> {
        let Some(locker) = self.locker(locker) else { return Vec::new() };
        let held = locker.holds().of_group(self.environment.owner().group(group));
        held.into_iter().flat_map(|(key, id)| [key.to_string(), id.to_string()]).collect()
    }

    /// How many locks of a group are held, and how many were lost.
    #[napi(catch_unwind)]
    pub fn census(&self, locker: u32, group: u32) -> Vec<f64> {
        let group = self.environment.owner().group(group);
        let census = self.holds(locker).map(|holds| holds.census(group)).unwrap_or_default();
        vec![census.held as f64, census.lost as f64]
    }
}

impl NativeEngine {
    fn holds(&self, number: u32) -> Option<&Arc<Holds>> {
        self.locker(number).map(|locker| locker.holds()).or_else(|| self.closed.get(&number))
    }

    fn locker(&self, number: u32) -> Option<&Arc<Locker<Store>>> {
        self.lockers.get(&number).map(|opened| &opened.locker)
    }
}
