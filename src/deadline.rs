//! What a caller is told whose time is over.

use std::time::Duration;

use tokio::time::timeout;

use crate::backend::{Backend, Holder, Text};
use crate::claim::Claim;
use crate::error::{Error, Result};
use crate::locker::Locker;
use crate::patience::Patience;
use crate::schedule::Schedule;

impl<B: Backend> Locker<B> {
    /// `Ok` if what `claim` claims is taken: the store said so, and is not failing now.
    pub(crate) async fn out_of_time(
        &self,
        claim: &Claim<B>,
        schedule: &Schedule,
        patience: &Patience,
    ) -> Result<()> {
        match self.failure(patience).is_none() && self.has_answered(claim).await {
            true => Ok(()),
            false => Err(self.too_late(claim, schedule, patience)),
        }
    }

    /// What went wrong, where nobody can have been in the way.
    pub(crate) fn too_late(
        &self,
        claim: &Claim<B>,
        schedule: &Schedule,
        patience: &Patience,
    ) -> Error {
        let silence = || self.waiting.silence(claim.is_open(), schedule.elapsed());
        self.failure(patience).unwrap_or_else(silence)
    }

    fn failure(&self, patience: &Patience) -> Option<Error> {
        let trouble = patience.trouble().map(|trouble| trouble.error.clone());
        trouble.or_else(|| self.waiting.settling())
    }

    /// `Ok` if `key` is taken, for a call that came before its time was over to nothing but waiting.
    pub(crate) async fn not_begun(&self, key: &Text, schedule: &Schedule) -> Result<()> {
        match self.read_at_once(key).await {
            Some(Some(_)) => Ok(()),
            _ => Err(self.waiting.silence(false, schedule.elapsed())),
        }
    }

    async fn has_answered(&self, claim: &Claim<B>) -> bool {
        claim.attempts() > 0 || !claim.is_open() && self.read_at_once(claim.key()).await.is_some()
    }

    /// A store in this process answers at once, however little time there was.
    async fn read_at_once(&self, key: &Text) -> Option<Option<Holder>> {
        let read = timeout(Duration::ZERO, self.waiting.backend().read(key));
        read.await.ok()?.ok()
    }
}
