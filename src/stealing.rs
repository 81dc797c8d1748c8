//! Taking a lock away from whoever holds it.

use tokio::time::{Instant, timeout_at};

use crate::backend::Backend;
use crate::claim::{Attempt, Claim};
use crate::error::Result;
use crate::lease::Grant;
use crate::locker::Locker;
use crate::patience::Patience;
use crate::schedule::Schedule;

impl<B: Backend> Locker<B> {
    /// Takes what `claim` claims from whoever has it. An error at the deadline of `schedule`: nobody can
    /// be in the way.
    pub(crate) async fn steal(&self, claim: &mut Claim<B>, schedule: &Schedule) -> Result<Grant> {
        let mut patience = Patience::new(self.patience);
        let stolen = async {
            loop {
                let asked = Instant::now();
                match claim.steal().await {
                    Ok(Attempt::Held(grant)) => return Ok(grant),
                    // It took longer than the lease.
                    Ok(_) => {}
                    Err(error) => patience.bear(error, asked).await?,
                }
            }
        };
        let Some(deadline) = schedule.deadline() else { return stolen.await };
        match timeout_at(deadline, stolen).await {
            Ok(stolen) => stolen,
            Err(_) => Err(self.too_late(claim, schedule, &patience)),
        }
    }
}
