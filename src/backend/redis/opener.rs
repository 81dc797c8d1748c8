//! How connections to one server are made, and how often that is tried.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer;
use super::greeting::{self, Greeting};
use super::link::Link;
use super::primary::{Left, Primary};
use super::reach::Reach;
use super::script::Dialect;
use super::server::Server;
use super::settings::{Credentials, Endpoint, Login, Replication, Settings, Target};
use super::socket::Handover;
use super::transport::{self, Encryption, Plain, Stream};
use crate::backend::Text;
use crate::error::{Cause, Error, Result};
use crate::id;
use crate::mutex::lock;

/// The shortest time between two tries to connect, so that a server that is down is not
/// hammered, however many callers wait for it.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Makes connections with the same settings.
#[derive(Debug)]
pub struct Opener {
    settings: Settings,
    encryption: Option<Encryption>,
    primary: Primary,
    /// The name under which our waiters queue.
    process: Text,
    server: Server,
    reach: Arc<Reach>,
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
        Ok(Opener {
            encryption: Encryption::new(settings.tls.as_ref())?,
            primary: Primary::new(&settings.target, settings.command_timeout)?,
            reach: Arc::new(Reach::new(settings.target.to_string())),
            settings,
            process: id::process(),
            server: Server::default(),
            not_before: Mutex::new(Instant::now()),
        })
    }

    /// Makes connections to another server for the same process, with settings that are the same
    /// besides.
    pub fn elsewhere(&self, endpoint: Endpoint) -> Self {
        let target = Target::Server(endpoint.clone());
        Opener {
            reach: Arc::new(Reach::new(target.to_string())),
            settings: Settings { target, ..self.settings.clone() },
            encryption: self.encryption.clone(),
            primary: Primary::Fixed(endpoint),
            process: self.process.clone(),
            server: Server::default(),
            not_before: Mutex::new(Instant::now()),
        }
    }

    /// With what connections are made.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name under which our waiters queue.
    pub fn process(&self) -> &Text {
        &self.process
    }

    /// What is known of the server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Which server is meant.
    pub fn target(&self) -> &Target {
        &self.settings.target
    }

    /// Who is told whether it is reached.
    pub fn reach(&self) -> &Arc<Reach> {
        &self.reach
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
        self.encryption.is_some()
    }

    /// Whether another server may become the primary, which is then looked for.
    pub fn finds_primary(&self) -> bool {
        self.primary.is_named()
    }

    /// How grants are proven, if they are.
    pub fn replication(&self) -> Option<&Replication> {
        self.settings.replication.as_ref()
    }

    /// Waits until another server is the primary than before.
    pub async fn primary_moved(&self) {
        self.primary.moved().await
    }

    /// Opens a connection for the tokio thread.
    pub async fn link(&self, next: &mut NextTry) -> Result<Link> {
        self.paced(next, async {
            let login = self.login().await?;
            self.attempt(async {
                let (endpoint, left) = self.primary.find().await?;
                let mut stream = transport::open(&endpoint, self.encryption.as_ref()).await?;
                self.greet(&mut *stream, &endpoint, login.as_ref()).await?;
                Ok(Link::over(stream, left))
            })
            .await
        })
        .await
    }

    /// Opens a connection for another thread.
    pub async fn handover(&self, next: &mut NextTry) -> Result<(Handover, Left)> {
        self.paced(next, async {
            let login = self.login().await?;
            self.attempt(async {
                let (endpoint, left) = self.primary.find().await?;
                let mut plain = Plain::open(&endpoint).await?;
                match &mut plain {
                    Plain::Tcp(stream) => {
                        self.greet(stream, &endpoint, login.as_ref()).await?;
                    }
                    #[cfg(unix)]
                    Plain::Unix(stream) => {
                        self.greet(stream, &endpoint, login.as_ref()).await?;
                    }
                }
                let handover = Handover::of(plain);
                let handover = handover.map_err(|error| Error::Unreachable(Cause::from(&error)))?;
                Ok((handover, left))
            })
            .await
        })
        .await
    }

    /// Opens a connection on which `subscribe` was said.
    pub async fn subscribed(&self, subscribe: Cmd) -> Result<(Box<dyn Stream>, Left)> {
        let opened = self.asked(subscribe).await.map(|(stream, left, _)| (stream, left));
        self.note(&opened);
        opened
    }

    /// What the server says of itself; asked over a connection of its own, which a server that
    /// refuses our scripts answers, too.
    pub async fn describe(&self) -> Result<String> {
        match self.ask(redis::cmd("INFO")).await? {
            Value::BulkString(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Value::VerbatimString { text, .. } => Ok(text),
            _ => Err(Error::Unknown(Cause::new("the server sent no text for INFO"))),
        }
    }

    /// Asks `question` over a connection of its own, and returns the reply.
    pub async fn ask(&self, question: Cmd) -> Result<Value> {
        self.asked(question).await.map(|(_, _, reply)| reply)
    }

    /// Opens a connection on which `question` was asked, and the reply to it.
    async fn asked(&self, question: Cmd) -> Result<(Box<dyn Stream>, Left, Value)> {
        let login = self.login().await?;
        self.attempt(async {
            let (endpoint, left) = self.primary.find().await?;
            let mut stream = transport::open(&endpoint, self.encryption.as_ref()).await?;
            let mut then = Pipeline::new();
            if self.finds_primary() {
                then.cmd("ROLE");
            }
            then.add_command(question);
            let replies = greeting::log_in(&mut *stream, login.as_ref(), then).await?;
            let mut replies = replies.into_iter();
            if self.finds_primary() {
                greeting::must_be_primary(&endpoint, replies.next())?;
            }
            let reply = replies.next().map(answer::reply);
            Ok((stream, left, reply.unwrap_or(Ok(Value::Nil))?))
        })
        .await
    }

    async fn greet(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
        endpoint: &Endpoint,
        login: Option<&Login>,
    ) -> Result<()> {
        let greeting = Greeting {
            login,
            database: self.settings.database,
            process: &self.process,
            server: &self.server,
            endpoint,
            must_be_primary: self.finds_primary(),
            settle_time: self.settings.settle_time,
        };
        greeting.say(stream).await
    }

    async fn paced<T>(
        &self,
        next: &mut NextTry,
        open: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let not_before = *lock(&self.not_before);
        sleep_until(not_before.max(next.0)).await;
        let limit = self.settings.connect_timeout;
        let opened = timeout(limit, open).await;
        let opened = opened.unwrap_or_else(|_| Err(self.settings.no_connection_within(limit)));
        self.note(&opened);
        next.0 = Instant::now() + BETWEEN_TRIES;
        if opened.is_err() {
            *lock(&self.not_before) = next.0;
        }
        opened
    }

    /// Who may not do something here has reached it all the same.
    fn note<T>(&self, opened: &Result<T>) {
        match opened {
            Ok(_) => self.reach.opened(),
            Err(Error::Redis { .. }) => {}
            Err(error) => self.reach.lost(error),
        }
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
