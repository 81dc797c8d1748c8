//! Which server is spoken to: the one that listens somewhere, or the primary that sentinels name.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::sentinel::Sentinel;
use super::settings::{Endpoint, Target};
use crate::error::Result;
use crate::task::Task;

/// The pause before sentinels are listened to again.
const BEFORE_LISTENING: Duration = Duration::from_secs(1);

/// The server that is spoken to.
#[derive(Debug)]
pub enum Primary {
    /// It listens there.
    Fixed(Endpoint),
    /// Sentinels say which it is.
    Named(Arc<Named>),
}

/// A primary that sentinels name.
#[derive(Debug)]
pub struct Named {
    sentinel: Sentinel,
    /// Where it is, as was heard last.
    at: watch::Sender<Option<Endpoint>>,
    moved: Notify,
    listening: OnceLock<Task>,
}

/// Tells a connection when its server is the primary no more.
#[derive(Debug)]
pub struct Left(Option<(watch::Receiver<Option<Endpoint>>, Endpoint)>);

impl Primary {
    /// What `target` names; a sentinel's answer may take `limit`. An error names what cannot be used.
    pub fn new(target: &Target, limit: Duration) -> Result<Self> {
        Ok(match target {
            Target::Server(endpoint) => Primary::Fixed(endpoint.clone()),
            Target::Primary(sentinels) => Primary::Named(Arc::new(Named {
                sentinel: Sentinel::new(sentinels, limit)?,
                at: watch::Sender::new(None),
                moved: Notify::new(),
                listening: OnceLock::new(),
            })),
        })
    }

    /// Whether it may be another server tomorrow.
    pub fn is_named(&self) -> bool {
        matches!(self, Primary::Named(_))
    }

    /// Waits until it is another server than before.
    pub async fn moved(&self) {
        match self {
            Primary::Fixed(_) => std::future::pending().await,
            Primary::Named(named) => named.moved.notified().await,
        }
    }

    /// Where it listens now.
    pub async fn find(&self) -> Result<(Endpoint, Left)> {
        match self {
            Primary::Fixed(endpoint) => Ok((endpoint.clone(), Left(None))),
            Primary::Named(named) => {
                let endpoint = named.sentinel.find().await?;
                named.is_at(&endpoint);
                named.listening.get_or_init(|| Task::start(listen(Arc::downgrade(named))));
                let left = Left(Some((named.at.subscribe(), endpoint.clone())));
                Ok((endpoint, left))
            }
        }
    }
}

impl Named {
    /// This is where it is; connections to other servers end.
    fn is_at(&self, endpoint: &Endpoint) {
        self.at.send_if_modified(|at| {
            let before = at.replace(endpoint.clone());
            let has_moved = before.as_ref().is_some_and(|before| before != endpoint);
            if has_moved {
                self.moved.notify_one();
            }
            has_moved
        });
    }
}

/// Hears of another primary as soon as a sentinel does: the old one may well go on answering until
/// it is made a replica, and what it grants then is lost.
async fn listen(named: Weak<Named>) {
    while let Some(listening) = named.upgrade() {
        let opened = listening.sentinel.listen().await;
        if let Ok((endpoint, mut announcements)) = opened {
            listening.is_at(&endpoint);
            drop(listening);
            while let Some(payload) = announcements.next().await
                && let Some(named) = named.upgrade()
            {
                if let Some(endpoint) = named.sentinel.announced(&payload) {
                    named.is_at(&endpoint);
                }
            }
        }
        sleep(BEFORE_LISTENING).await;
    }
}

impl Left {
    /// Waits until the server is the primary no more.
    pub async fn until(&mut self) {
        if let Some((primary, endpoint)) = &mut self.0 {
            let is_another = |at: &Option<Endpoint>| at.as_ref().is_some_and(|at| at != endpoint);
            if primary.wait_for(is_another).await.is_ok() {
                return;
            }
        }
        // Nobody will say so.
        std::future::pending().await
    }
}
