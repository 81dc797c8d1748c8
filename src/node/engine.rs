//! What `lib/engine.js` holds: one per JavaScript environment.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Float64ArraySlice};
use napi_derive::napi;

use super::environment::{Environment, Waker};
use super::runtime::{self, Command};
use super::settings::ConnectionSettings;
use super::submission::{self, Submission};
use crate::backend::Store;
use crate::backend::redis::settings::Login;
use crate::error::{Cause, Error};
use crate::locker::Locker;
use crate::registry;

/// The calls of one JavaScript environment.
#[napi]
pub struct NativeEngine {
    environment: Arc<Environment>,
    lockers: HashMap<u32, Arc<Locker<Store>>>,
    next_locker: u32,
}

#[napi]
impl NativeEngine {
    /// `wake` is called when there are completions to `drain`.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Waker) -> napi::Result<Self> {
        let environment = Environment::new(&env, wake);
        env.add_env_cleanup_hook(environment.clone(), |environment| environment.close())?;
        Ok(NativeEngine { environment, lockers: HashMap::new(), next_locker: 0 })
    }

    /// Opens the locks that `settings` name and returns the number of their locker; equal
    /// settings share one connection.
    #[napi(catch_unwind)]
    pub fn open(&mut self, settings: ConnectionSettings) -> napi::Result<u32> {
        let settings = settings.read(&self.environment)?;
        let locker = registry::locker(settings)
            .map_err(|error| napi::Error::new(napi::Status::InvalidArg, error.to_string()))?;
        let number = self.next_locker;
        self.next_locker = number.wrapping_add(1);
        self.lockers.insert(number, locker);
        Ok(number)
    }

    /// Lets go of a locker; its connection closes when nobody else uses it.
    #[napi(catch_unwind)]
    pub fn close(&mut self, locker: u32) {
        self.lockers.remove(&locker);
    }

    /// Starts `count` calls, whose numbers and texts `lib/outbox.js` wrote.
    #[napi(catch_unwind)]
    pub fn submit(&self, env: Env, numbers: Float64ArraySlice, count: u32, texts: String) {
        let mut commands = Vec::with_capacity(count as usize);
        let numbers = &numbers[..count as usize * submission::FIELDS];
        self.environment.expect(&env, count);
        for Submission { call, locker, work } in submission::read(numbers, &texts) {
            let locker = self.lockers.get(&locker).cloned();
            commands.push(Command::Call { call, locker, work });
        }
        runtime::send(self.environment.clone(), commands);
    }

    /// Ends a pending call; it still completes, an acquire without a lock.
    #[napi(catch_unwind)]
    pub fn cancel(&self, call: u32) {
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
}
