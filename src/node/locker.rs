//! What a manager calls: each method starts one call, whose completion comes by its number.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::Env;
use napi_derive::napi;

use super::environment::Environment;
use super::runtime::{Command, Work};
use crate::backend::Store;
use crate::locker::{Acquire, Locker};
use crate::schedule::Schedule;

/// The locks of one store, for one JavaScript environment.
#[napi]
pub struct NativeLocker {
    environment: Arc<Environment>,
    locker: Option<Arc<Locker<Store>>>,
}

impl NativeLocker {
    /// Locks in `locker`'s store for `environment`.
    pub fn new(environment: Arc<Environment>, locker: Arc<Locker<Store>>) -> Self {
        NativeLocker { environment, locker: Some(locker) }
    }

    fn begin(&self, env: &Env, call: u32, work: Work) -> napi::Result<()> {
        let locker =
            self.locker.clone().ok_or_else(|| napi::Error::from_reason("it was closed"))?;
        let environment = self.environment.clone();
        self.environment.begin(env, Command::Call { environment, call, locker, work });
        Ok(())
    }
}

#[napi]
impl NativeLocker {
    /// Starts an acquire. All times are milliseconds; `max_retries` and `timeout` may be
    /// infinite.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "plain arguments cross faster than an object")]
    pub fn acquire(
        &self,
        env: Env,
        call: u32,
        key: String,
        owner: String,
        ttl: f64,
        retry_delay: f64,
        max_retries: f64,
        timeout: f64,
    ) -> napi::Result<()> {
        let retries = max_retries.is_finite().then_some(max_retries as u32);
        let timeout = timeout.is_finite().then(|| milliseconds(timeout));
        let schedule = Schedule::new(milliseconds(retry_delay), retries, timeout);
        let (key, owner) = (key.into(), owner.into());
        let request = Acquire { key, owner, ttl: milliseconds(ttl), schedule };
        self.begin(&env, call, Work::Acquire(request))
    }

    /// Starts a release.
    #[napi(catch_unwind)]
    pub fn release(&self, env: Env, call: u32, key: String, id: String) -> napi::Result<()> {
        self.begin(&env, call, Work::Release { key: key.into(), id })
    }

    /// Starts an extend.
    #[napi(catch_unwind)]
    pub fn extend(
        &self,
        env: Env,
        call: u32,
        key: String,
        id: String,
        milliseconds: f64,
    ) -> napi::Result<()> {
        self.begin(&env, call, Work::Extend { key, id, milliseconds })
    }

    /// Starts a read.
    #[napi(catch_unwind)]
    pub fn read(&self, env: Env, call: u32, key: String) -> napi::Result<()> {
        self.begin(&env, call, Work::Read { key })
    }

    /// Lets go of the connection, which closes when nobody else uses it.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.locker = None;
    }
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1000.0).unwrap_or(Duration::MAX)
}
