//! What `lib/engine.js` holds: one per JavaScript environment.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Float64ArraySlice};
use napi_derive::napi;

use super::environment::{Environment, Waker};
use super::locker;
use super::settings::ConnectionSettings;
use crate::backend::redis::settings::Login;
use crate::error::{Cause, Error};
use crate::registry;

/// The calls of one JavaScript environment.
#[napi]
pub struct NativeEngine {
    environment: Arc<Environment>,
}

#[napi]
impl NativeEngine {
    /// `wake` is called when there are completions to `drain`.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Waker) -> napi::Result<Self> {
        let environment = Environment::new(&env, wake);
        env.add_env_cleanup_hook(environment.clone(), |environment| environment.close())?;
        Ok(NativeEngine { environment })
    }

    /// Opens the locks that `settings` name and returns the number of their locker; equal
    /// settings share one connection.
    #[napi(catch_unwind)]
    pub fn open(&self, settings: ConnectionSettings) -> napi::Result<u32> {
        let settings = settings.read(&self.environment)?;
        let opened = registry::locker(settings)
            .map_err(|error| napi::Error::new(napi::Status::InvalidArg, error.to_string()))?;
        Ok(locker::register(self.environment.clone(), opened))
    }

    /// Lets go of a locker; its connection closes when nobody else uses it.
    #[napi(catch_unwind)]
    pub fn close(&self, locker: u32) {
        locker::forget(locker);
    }

    /// Sends the calls of this tick.
    #[napi(catch_unwind)]
    pub fn flush(&self) {
        self.environment.flush();
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
