//! An open connection: greeted, authenticated, in its database, with the script loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, Value};
use rustls::ClientConfig;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::settings::{Credentials, Login, Settings};
use super::{script, step, transport};
use crate::error::{Cause, Error, Result};

/// The name our connections show in `CLIENT LIST`.
const NAME: &str = "dist-lock";

/// What a server without a password answers to one (Redis 6 and newer, and older ones). The
/// Node clients go on without it, and so do we.
const NO_PASSWORD_SET: [&str; 2] = ["without any password configured", "no password is set"];

/// An open connection. Clones share it; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Link {
    connection: MultiplexedConnection,
    driver: Arc<Driver>,
    in_full: Arc<AtomicBool>,
}

/// The task that reads and writes for a connection, and ends with it.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Connects and says who we are.
    pub async fn open(settings: &Settings, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let login = match &settings.credentials {
            Credentials::None => None,
            Credentials::Fixed(login) => Some(login.clone()),
            Credentials::Asked(provider) => provider.0.ask().await?,
        };
        let limit = settings.attempt_timeout();
        timeout(limit, Self::connect(settings, tls, login))
            .await
            .unwrap_or_else(|_| Err(settings.no_connection_within(limit)))
    }

    async fn connect(
        settings: &Settings,
        tls: Option<&Arc<ClientConfig>>,
        login: Option<Login>,
    ) -> Result<Self> {
        let stream = transport::open(settings, tls).await?;
        // What the crate would say in greeting is said below, where each refusal is understood;
        // its default limit of 500 ms per reply is replaced by one per batch.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| Error::Unreachable(cause(&error)))?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        let link = Link { connection, driver, in_full: Arc::default() };
        link.greet(login, settings.database).await?;
        Ok(link)
    }

    /// Whether scripts must be sent with their text.
    pub fn sends_in_full(&self) -> bool {
        self.in_full.load(Ordering::Relaxed)
    }

    /// The server refused to run a script by its name.
    pub fn send_in_full(&self) {
        self.in_full.store(true, Ordering::Relaxed);
    }

    /// Whether the server has not hung up and no reply is overdue.
    pub fn is_open(&self) -> bool {
        !self.driver.0.is_finished()
    }

    /// Ends the connection for everybody.
    pub fn close(&self) {
        self.driver.0.abort();
    }

    /// Sends the commands of `pipeline` in one write and returns a reply to each. When there is
    /// none within `limit` the connection is taken for dead.
    pub async fn ask(
        &self,
        pipeline: &Pipeline,
        limit: Duration,
    ) -> std::result::Result<Vec<Value>, Cause> {
        let mut connection = self.connection.clone();
        let replies = connection.send_packed_commands(pipeline, 0, pipeline.len());
        match timeout(limit, replies).await {
            Ok(replies) => replies.map_err(|error| cause(&error)),
            Err(_) => {
                self.close();
                Err(Cause::timeout("no reply", limit))
            }
        }
    }

    async fn greet(&self, login: Option<Login>, database: u32) -> Result<()> {
        let mut greeting = Pipeline::new();
        if let Some(Login { username, password }) = &login {
            greeting.cmd("AUTH").arg(username).arg(password);
        }
        if database != 0 {
            greeting.cmd("SELECT").arg(database);
        }
        // A help to people, and to the first call; a server may refuse them.
        greeting.cmd("CLIENT").arg("SETNAME").arg(NAME);
        greeting.add_command(script::load());

        let mut connection = self.connection.clone();
        let replies = connection.send_packed_commands(&greeting, 0, greeting.len()).await;
        let replies = replies.map_err(|error| Error::Unreachable(cause(&error)))?;
        let mut replies = replies.into_iter().map(step::reply);
        if let Some(login) = &login
            && let Some(reply) = replies.next()
        {
            authenticated(login, reply)?;
        }
        if database != 0
            && let Some(reply) = replies.next()
        {
            reply?;
        }
        match replies.find(is_no_auth) {
            Some(refusal) => refusal.map(drop),
            None => Ok(()),
        }
    }
}

/// Nothing can be done before authenticating; the server would hang up on a long command.
fn is_no_auth(reply: &Result<Value>) -> bool {
    matches!(reply, Err(Error::Redis { code, .. }) if code == "NOAUTH")
}

/// Understands the reply to `AUTH`.
fn authenticated(login: &Login, reply: Result<Value>) -> Result<()> {
    match reply {
        Err(Error::Redis { message, .. })
            if login.username.is_none()
                && NO_PASSWORD_SET.iter().any(|known| message.contains(known)) =>
        {
            Ok(())
        }
        // A server that does not know the command repeats what came with it.
        Err(Error::Redis { code, message })
            if !login.password.is_empty() && message.contains(&login.password) =>
        {
            Err(Error::Redis { code, message: "AUTH was refused".into() })
        }
        other => other.map(drop),
    }
}

/// The reason under an error of the redis crate.
fn cause(error: &RedisError) -> Cause {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Cause::from(io);
        }
        source = inner.source();
    }
    let dropped = error.is_connection_dropped();
    Cause { code: dropped.then_some("ECONNRESET"), message: error.to_string() }
}
