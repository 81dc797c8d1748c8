//! Several locks at once, or none of them.
//!
//! While one is taken it is waited for as by anybody else, in its queue, and nothing is held meanwhile. Once
//! it is handed over all are tried again; if another is taken then, the one goes to the next who waits. So
//! nobody waits while it holds, and two who want the same locks never wait for each other.

use tokio::time::{Instant, timeout_at};

use crate::backend::{Backend, Text, Waiter};
use crate::claim::{Attempts, Claim};
use crate::error::Result;
use crate::id;
use crate::lease::Grant;
use crate::locker::{Acquire, Lock, Locker};
use crate::order::then_drop;
use crate::patience::Patience;
use crate::schedule::Schedule;
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
        let claim = |key: Text| {
            let id = id::unique(self.backend().process(), group);
            let waiter = Waiter { id, owner: owner.clone(), ttl, sharing };
            Claim::new(self.waiting.clone(), key, waiter, schedule.waits())
        };
        let mut claims: Vec<Claim<B>> = keys.into_iter().map(claim).collect();
        let mut patience = Patience::new(self.patience);
        let granted = async {
            let mut turn = self.turn(false).await;
            then_drop(self.granted_all(&mut claims, &schedule, &mut patience), &mut turn).await
        };
        let granted = match schedule.deadline() {
            None => granted.await?,
            Some(deadline) => match timeout_at(deadline, granted).await {
                Ok(granted) => granted?,
                Err(_) => match claims.first() {
                    Some(first) => {
                        self.out_of_time(first, &schedule, &patience).await.map(|()| None)?
                    }
                    None => None,
                },
            },
        };
        Ok(granted.map(|(grant, attempts)| {
            let keep = |claim| self.keep(claim, &schedule, grant, attempts, renewal.clone(), group);
            claims.into_iter().map(keep).collect()
        }))
    }

    /// The grant of all, and how often all were asked for.
    async fn granted_all(
        &self,
        claims: &mut [Claim<B>],
        schedule: &Schedule,
        patience: &mut Patience,
    ) -> Result<Option<(Grant, u64)>> {
        let mut attempts = 0;
        loop {
            let asked = Instant::now();
            let taken = match Claim::attempt_all(claims).await {
                Ok(Attempts::Held(grant)) => return Ok(Some((grant, attempts + 1))),
                Ok(Attempts::Taken(number)) => number,
                Err(error) => {
                    patience.bear(error, asked).await?;
                    continue;
                }
            };
            patience.rest();
            attempts += 1;
            // The one that was handed over, or what an attempt without an answer may have got.
            let others = claims.iter_mut().enumerate().filter(|(number, _)| *number != taken);
            others.filter(|(_, claim)| claim.is_open()).for_each(|(_, claim)| claim.give_back());
            let Some(claim) = claims.get_mut(taken).filter(|_| schedule.waits()) else {
                return Ok(None);
            };
            let waiter = WaitingAcquire::new(self, claim, schedule, None);
            if Box::pin(waiter.wait()).await?.0.is_none() {
                return Ok(None);
            }
        }
    }
}
