//! How connections to one server are made, and how often that is tried.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::greeting;
use super::link::Link;
use super::script::Dialect;
use super::server::Server;
use super::settings::{Credentials, Endpoint, Login, Settings};
use super::socket::Handover;
use super::step;
use super::transport::{self, Plain, Stream};
use crate::backend::Text;
use crate::error::{Cause, Error, Result};
use crate::id;

/// The shortest time between two tries to connect, so that a server that is down is not
/// hammered, however many callers wait for it.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Makes connections with the same settings.
#[derive(Debug)]
pub struct Opener {
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    /// The name under which our waiters queue.
    process: Text,
    server: Server,
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
        Ok(Opener {
            settings,
            tls,
            process: id::unique(),
            server: Server::default(),
            not_before: Mutex::new(Instant::now()),
        })
    }

    /// The name under which our waiters queue.
    pub fn process(&self) -> &Text {
        &self.process
    }

    /// What is known of the server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where the server listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.settings.endpoint
    }

    /// How scripts are sent to the server; `in_full`: with their text.
    pub fn dialect(&self, in_full: bool) -> Dialect<'_> {
        Dialect {
            queue: self.server.has_queue(),
            met_version_2: self.server.met_version_2(),
            in_full,
            process: &self.process,
        }
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
                self.greet(&mut *stream, login.as_ref()).await?;
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
                        self.greet(stream, login.as_ref()).await?;
                    }
                    #[cfg(unix)]
                    Plain::Unix(stream) => {
                        self.greet(stream, login.as_ref()).await?;
                    }
                }
                Handover::of(plain).map_err(|error| Error::Unreachable(Cause::from(&error)))
            })
            .await
        })
        .await
    }

    /// Opens a connection on which `subscribe` was said.
    pub async fn subscribed(&self, subscribe: Cmd) -> Result<Box<dyn Stream>> {
        self.asked(subscribe).await.map(|(stream, _)| stream)
    }

    /// What the server says of itself; asked over a connection of its own, which a server that
    /// refuses our scripts answers, too.
    pub async fn describe(&self) -> Result<String> {
        let (_, reply) = self.asked(redis::cmd("INFO")).await?;
        match reply {
            Value::BulkString(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Value::VerbatimString { text, .. } => Ok(text),
            _ => Err(Error::Unknown(Cause::new("the server sent no text for INFO"))),
        }
    }

    /// Opens a connection on which `question` was asked, and the reply to it.
    async fn asked(&self, question: Cmd) -> Result<(Box<dyn Stream>, Value)> {
        let login = self.login().await?;
        self.attempt(async {
            let plain = Plain::open(&self.settings).await?;
            let mut stream = transport::secure(plain, &self.settings, self.tls.as_ref()).await?;
            let mut then = Pipeline::new();
            then.add_command(question);
            let replies = greeting::log_in(&mut *stream, login.as_ref(), then).await?;
            let reply = replies.into_iter().next().map(step::reply);
            Ok((stream, reply.unwrap_or(Ok(Value::Nil))?))
        })
        .await
    }

    async fn greet(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
        login: Option<&Login>,
    ) -> Result<()> {
        greeting::greet(stream, login, self.settings.database, &self.process, &self.server).await
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
        let opened = timeout(limit, open).await;
        opened
            .unwrap_or_else(|_| Err(self.settings.no_connection_within(limit)))
            .map_err(|error| self.refused(error))
    }

    /// What a function gave and Redis refused may have just been replaced: asked again, it gives what
    /// is valid now.
    fn refused(&self, error: Error) -> Error {
        match (&self.settings.credentials, error) {
            (Credentials::Asked(_), Error::Redis { code, message })
                if greeting::is_wrong_password(&code, &message) =>
            {
                Error::Credentials { code, message }
            }
            (_, error) => error,
        }
    }
}
