//! One store of a quorum, and whether it is worth asking.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::doubts::Doubts;
use crate::backend::{Acquired, Backend, Released, Text, Waiter};
use crate::error::{Cause, Error, Result};
use crate::mutex::lock;
use crate::undo::Undo;

/// The pause before a store in trouble is looked at; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause, so that a store that is back is noticed within a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The most locks that are being freed here in the background. While a store is away more of them may
/// come to be freed than are worth keeping in mind; the ttl ends the others.
const MOST_FREED: usize = 4096;

/// What is looked at to learn whether a store answers.
const LOOKED_AT: &str = "dist-lock:quorum";

/// One store of a quorum. While it is in trouble nobody asks it anything, so that it costs no time and is
/// not hammered; it is looked at in the background until it answers.
#[derive(Debug)]
pub struct Member<B: Backend> {
    name: Text,
    store: B,
    trouble: Mutex<Option<Error>>,
    /// The trouble is over.
    recovered: Notify,
    freed: Arc<Semaphore>,
    doubts: Doubts,
}

impl<B: Backend> Member<B> {
    /// A store with a name for people to read.
    pub fn new(name: Text, store: B) -> Self {
        let freed = Arc::new(Semaphore::new(MOST_FREED));
        let (trouble, recovered, doubts) = Default::default();
        Member { name, store, trouble, recovered, freed, doubts }
    }

    /// Its name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The store itself.
    pub fn store(&self) -> &B {
        &self.store
    }

    /// Carries out a step, unless the store is in trouble.
    pub async fn ask<T>(self: &Arc<Self>, step: impl Future<Output = Result<T>>) -> Result<T> {
        if let Some(error) = self.trouble().clone() {
            // Nothing of this step was sent.
            return Err(match error {
                Error::Unknown(cause) => Error::Unreachable(cause),
                error => error,
            });
        }
        let answer = step.await;
        match &answer {
            Err(error) if !is_answer(error) => self.fails(error.clone()),
            _ => self.answers(),
        }
        answer
    }

    /// Takes `key`, unless the store may have forgotten who held it: then its vote does not count.
    pub async fn take(self: &Arc<Self>, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        self.settled()?;
        let acquired = self.ask(self.store.acquire(key, waiter, false)).await?;
        // It may have been found out just now. Then whoever has the lock may be freed at once, like this one.
        let settled = self.settled();
        if settled.is_err() && matches!(acquired, Acquired::Held(_)) {
            self.free(key, &waiter.id, waiter.ttl, false);
        }
        settled.map(|()| acquired)
    }

    /// Sets the remaining time of `key`; what an earlier extension may yet undo does not count.
    pub async fn extend(
        self: &Arc<Self>,
        key: &Text,
        id: &Text,
        milliseconds: f64,
    ) -> Result<Released> {
        let ttl = Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default();
        self.doubts.begin(id, ttl);
        let extended = self.ask(self.store.extend(key, id, milliseconds)).await;
        if !matches!(extended, Err(Error::Unknown(_))) {
            self.doubts.end(id, ttl);
        }
        match extended {
            Ok(Released::Yes) if self.doubts.may_shorten(id, ttl) => {
                Err(Error::Unknown(Cause::new("an earlier extension may shorten this one")))
            }
            extended => extended,
        }
    }

    fn settled(&self) -> Result<()> {
        match self.store.settles_until() {
            Some(until) => Err(Error::settling(until.left())),
            None => Ok(()),
        }
    }

    /// Frees `key` in the background if `id` holds it here, for as long as it may.
    ///
    /// `lost`: the attempt to take it was never answered, and may still be carried out.
    pub fn free(self: &Arc<Self>, key: &Text, id: &Text, ttl: Duration, lost: bool) {
        let Ok(permit) = self.freed.clone().try_acquire_owned() else { return };
        let (member, key, id) = (self.clone(), key.clone(), id.clone());
        in_background(async move {
            let _permit = permit;
            let mut undo = Undo::new(ttl, lost);
            // Whether or not it has come back by then.
            let _ = timeout(ttl, async {
                loop {
                    member.is_well().await;
                    let released = member.ask(member.store.release(&key, &id)).await;
                    if !undo.goes_on(released.map(|released| released != Released::No)).await {
                        return;
                    }
                }
            })
            .await;
        });
    }

    /// It has not answered within `limit`: what one who waited is told.
    pub fn silence(&self, limit: Duration) -> Error {
        let cause = Cause::timeout("no answer", limit);
        match self.store.is_connected() {
            true => Error::Unknown(cause),
            false => Error::Unreachable(cause),
        }
    }

    /// It has not answered within `limit`, and is left alone until it does.
    pub fn is_silent(self: &Arc<Self>, limit: Duration) {
        self.fails(self.silence(limit));
    }

    fn fails(self: &Arc<Self>, error: Error) {
        if self.trouble().replace(error).is_none() {
            in_background(look_after(Arc::downgrade(self)));
        }
    }

    fn answers(&self) {
        if self.trouble().take().is_some() {
            self.recovered.notify_waiters();
        }
    }

    async fn is_well(&self) {
        loop {
            let mut recovered = pin!(self.recovered.notified());
            recovered.as_mut().enable();
            if self.trouble().is_none() {
                return;
            }
            recovered.await;
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Error>> {
        lock(&self.trouble)
    }
}

/// Looks at a store in trouble until it answers, or nobody has it any more.
async fn look_after<B: Backend>(member: Weak<Member<B>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        // Jitter keeps many processes from coming back in the same instant.
        let part = rand::rng().random_range(0.5..1.0);
        sleep(pause.mul_f64(part)).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
        let Some(member) = member.upgrade() else { return };
        if member.trouble().is_none() {
            return;
        }
        match member.store.read(&LOOKED_AT.into()).await {
            Err(error) if !is_answer(&error) => {
                member.trouble().replace(error);
            }
            _ => return member.answers(),
        }
    }
}

/// Whether the store itself says that, and not what is between us or before it is ready.
fn is_answer(error: &Error) -> bool {
    let is_said = matches!(error, Error::Redis { .. } | Error::NotReplicated { .. });
    is_said && !error.is_transient()
}

/// Runs `task` in the background. Without a runtime the process is ending, and ttls end the locks.
pub fn in_background(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task);
    }
}
