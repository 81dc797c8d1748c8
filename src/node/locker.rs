//! What a manager calls: each function starts one call, whose completion comes by its number.
//!
//! Free functions with a number for the locker, because they are called for every lock: a method
//! on a class costs twice as much, in checks of the class and the borrow.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::Env;
use napi_derive::napi;

use super::environment::Environment;
use super::runtime::{Command, Work};
use crate::backend::Store;
use crate::locker::{Acquire, Locker};
use crate::schedule::Schedule;

/// The lockers that are open in one JavaScript environment, which has its own thread.
#[derive(Default)]
struct Lockers {
    by_number: HashMap<u32, (Arc<Environment>, Arc<Locker<Store>>)>,
    next: u32,
}

thread_local! {
    static LOCKERS: RefCell<Lockers> = RefCell::default();
}

/// Makes `locker` known to JavaScript by the number it returns.
pub fn register(environment: Arc<Environment>, locker: Arc<Locker<Store>>) -> u32 {
    LOCKERS.with_borrow_mut(|lockers| {
        let number = lockers.next;
        lockers.next = number.wrapping_add(1);
        lockers.by_number.insert(number, (environment, locker));
        number
    })
}

/// Lets go of a locker; its connection closes when nobody else uses it.
pub fn forget(number: u32) {
    // Dropped outside of the borrow.
    let _locker = LOCKERS.with_borrow_mut(|lockers| lockers.by_number.remove(&number));
}

fn begin(env: &Env, locker: u32, call: u32, work: Work) -> napi::Result<()> {
    LOCKERS.with_borrow(|lockers| {
        let (environment, locker) = lockers
            .by_number
            .get(&locker)
            .ok_or_else(|| napi::Error::from_reason("the locker was closed"))?;
        let command =
            Command::Call { environment: environment.clone(), call, locker: locker.clone(), work };
        environment.begin(env, command);
        Ok(())
    })
}

/// Starts an acquire. All times are milliseconds; `max_retries` and `timeout` may be infinite.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "plain arguments cross faster than an object")]
pub fn acquire(
    env: Env,
    locker: u32,
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
    begin(&env, locker, call, Work::Acquire(request))
}

/// Starts a release.
#[napi(catch_unwind)]
pub fn release(env: Env, locker: u32, call: u32, key: String, id: String) -> napi::Result<()> {
    begin(&env, locker, call, Work::Release { key: key.into(), id })
}

/// Starts an extend.
#[napi(catch_unwind)]
pub fn extend(
    env: Env,
    locker: u32,
    call: u32,
    key: String,
    id: String,
    milliseconds: f64,
) -> napi::Result<()> {
    begin(&env, locker, call, Work::Extend { key, id, milliseconds })
}

/// Starts a read.
#[napi(catch_unwind)]
pub fn read(env: Env, locker: u32, call: u32, key: String) -> napi::Result<()> {
    begin(&env, locker, call, Work::Read { key })
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1000.0).unwrap_or(Duration::MAX)
}
