//! How connections to one server are made, and how often that is tried.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until, timeout};

use super::greeting::greet;
use super::link::Link;
use super::settings::{Credentials, Login, Settings};
use super::socket::Handover;
use super::transport::{self, Plain};
use crate::error::{Cause, Error, Result};

/// The shortest time between two tries to connect, so that a server that is down is not
/// hammered, however many callers wait for it.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Makes connections with the same settings.
#[derive(Debug)]
pub struct Opener {
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    /// A server that one connection cannot reach is not there for another either.
    not_before: Mutex<Instant>,
}

/// When the next try may begin, of those who make one connection after the other.
#[derive(Debug)]
pub struct NextTry(Instant);

impl Default for NextTry {
    fn default() -> Self {
        NextTry(Instant::now())
    }
}

impl Opener {
    /// Makes connections with `settings`; an error names what cannot be used in them.
    pub fn new(settings: Settings) -> Result<Self> {
        let tls = match &settings.tls {
            Some(tls) => Some(Arc::new(tls.client_config()?)),
            None => None,
        };
        Ok(Opener { settings, tls, not_before: Mutex::new(Instant::now()) })
    }

    /// How long a command may wait for its reply.
    pub fn command_timeout(&self) -> Duration {
        self.settings.command_timeout
    }

    /// Whether what is sent is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Opens a connection for the tokio thread.
    pub async fn link(&self, next: &mut NextTry) -> Result<Link> {
        self.paced(next, async {
            let login = self.login().await?;
            self.attempt(async {
                let plain = Plain::open(&self.settings).await?;
                let mut stream =
                    transport::secure(plain, &self.settings, self.tls.as_ref()).await?;
                greet(&mut *stream, login.as_ref(), self.settings.database).await?;
                Link::over(stream).await
            })
            .await
        })
        .await
    }

    /// Opens a connection for another thread.
    pub async fn handover(&self, next: &mut NextTry) -> Result<Handover> {
        self.paced(next, async {
            let login = self.login().await?;
            self.attempt(async {
                let mut plain = Plain::open(&self.settings).await?;
                match &mut plain {
                    Plain::Tcp(stream) => {
                        greet(stream, login.as_ref(), self.settings.database).await?;
                    }
                    #[cfg(unix)]
                    Plain::Unix(stream) => {
                        greet(stream, login.as_ref(), self.settings.database).await?;
                    }
                }
                Handover::of(plain).map_err(|error| Error::Unreachable(Cause::from(&error)))
            })
            .await
        })
        .await
    }

    async fn paced<T>(
        &self,
        next: &mut NextTry,
        open: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        sleep_until(not_before.max(next.0)).await;
        let limit = self.settings.connect_timeout;
        let opened = timeout(limit, open).await;
        let opened = opened.unwrap_or_else(|_| Err(self.settings.no_connection_within(limit)));
        next.0 = Instant::now() + BETWEEN_TRIES;
        if opened.is_err() {
            *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = next.0;
        }
        opened
    }

    async fn login(&self) -> Result<Option<Login>> {
        match &self.settings.credentials {
            Credentials::None => Ok(None),
            Credentials::Fixed(login) => Ok(Some(login.clone())),
            Credentials::Asked(provider) => provider.0.ask().await,
        }
    }

    async fn attempt<T>(&self, open: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.settings.attempt_timeout();
        timeout(limit, open)
            .await
            .unwrap_or_else(|_| Err(self.settings.no_connection_within(limit)))
    }
}
