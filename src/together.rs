//! Several locks at once, or none of them.
//!
//! While one is taken it is waited for as by anybody else, in its queue, and nothing is held meanwhile. Once
//! it is handed over all are tried again; if another is taken then, the one goes to the next who waits. So
//! nobody waits while it holds, and two who want the same locks never wait for each other.

use tokio::time::Instant;

use crate::backend::{Backend, Text, Waiter};
use crate::claim::{Attempts, Claim};
use crate::error::Result;
use crate::id;
use crate::locker::{Acquire, Lock, Locker};
use crate::patience::Patience;
use crate::waiting_acquire::WaitingAcquire;

impl<B: Backend> Locker<B> {
    /// Takes the locks of all `keys`, waiting for them as the schedule says; `request` says all but the
    /// key. All have the same token. `None`: some were taken all that time.
    ///
    /// Dropping the future gives up, as with [`Locker::acquire`].
    pub async fn acquire_all(
        &self,
        keys: Vec<Text>,
        request: Acquire,
    ) -> Result<Option<Vec<Lock>>> {
        let Acquire { owner, ttl, schedule, renewal, group, sharing, .. } = request;
        let mut patience = Patience::new(self.patience);
        let claim = |key: Text| {
            let id = id::unique(self.backend().process(), group);
            let waiter = Waiter { id, owner: owner.clone(), ttl, sharing };
            Claim::new(self.waiting.clone(), key, waiter, schedule.waits())
        };
        let mut claims: Vec<Claim<B>> = keys.into_iter().map(claim).collect();
        let mut handed: Option<usize> = None;
        loop {
            let asked = Instant::now();
            let taken = match Claim::attempt_all(&mut claims).await {
                Ok(Attempts::Held(grant)) => {
                    let keep =
                        |claim| self.keep(claim, &schedule, grant, 1, renewal.clone(), group);
                    return Ok(Some(claims.into_iter().map(keep).collect()));
                }
                Ok(Attempts::Taken(number)) => number,
                Err(error) => {
                    patience.bear(error, asked).await?;
                    continue;
                }
            };
            if let Some(handed) = handed.take()
                && handed != taken
                && let Some(claim) = claims.get_mut(handed)
            {
                claim.give_back();
            }
            let Some(claim) = claims.get_mut(taken) else { return Ok(None) };
            if !schedule.waits() {
                return Ok(None);
            }
            let waiter = WaitingAcquire::new(self, claim, &schedule);
            if Box::pin(waiter.wait(None)).await?.0.is_none() {
                return Ok(None);
            }
            handed = Some(taken);
        }
    }
}
