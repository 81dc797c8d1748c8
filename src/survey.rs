//! What people ask about locks and their store, and how they clear up.

use tokio::time::Instant;

use crate::backend::{Backend, Holder, Listing, Mode, Text};
use crate::error::{Error, Result};
use crate::locker::Locker;
use crate::order::then_drop;
use crate::patience::Patience;

/// What the step answers, after as many tries as its trouble is borne for.
macro_rules! patiently {
    ($locker:expr, $step:expr) => {{
        let mut patience = Patience::new($locker.patience);
        loop {
            let asked = Instant::now();
            match $step.await {
                Ok(answer) => break answer,
                Err(error) => patience.bear(error, asked).await?,
            }
        }
    }};
}

impl<B: Backend> Locker<B> {
    /// Who holds `key` now. `None`: nobody.
    pub async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        Ok(patiently!(self, self.backend().read(key)))
    }

    /// Who holds and who waits for the keys that begin with `prefix`, in the order of the keys; those who
    /// asked before in this process have asked.
    pub async fn query(&self, prefix: &str) -> Result<Vec<Listing>> {
        let mut turn = self.turn(false).await;
        then_drop(self.list(prefix), &mut turn).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listing>> {
        let backend = self.backend();
        let mut keys = patiently!(self, backend.names(prefix));
        keys.sort();
        let mut listings = patiently!(self, backend.list(&keys));
        listings.retain(|one| !(one.holders.is_empty() && one.waiters.is_empty()));
        Ok(listings)
    }

    /// Frees a key, whoever holds it, and tells the holders. `false`: nobody does.
    pub async fn force_release(&self, key: &Text) -> Result<bool> {
        let released = patiently!(self, async {
            match self.waiting.force(key).await {
                // Once more might take it from whoever was given it by that.
                Err(error @ Error::Unknown(_)) => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        })?;
        self.polling.call_first(key);
        Ok(released)
    }

    /// How waiting works here; connects to find out.
    pub async fn mode(&self) -> Result<Mode> {
        let mode = patiently!(self, self.backend().mode());
        if mode == Mode::Queue && !self.subscribed().await {
            let reason = self.waiting.refusal().map(|error| error.to_string());
            return Ok(Mode::Classic(reason.unwrap_or_default()));
        }
        Ok(mode)
    }

    /// What the server says of itself, for people; `None` where there is no server.
    pub async fn describe(&self) -> Result<Option<String>> {
        Ok(patiently!(self, self.backend().describe()))
    }
}
