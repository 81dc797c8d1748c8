//! What is said first on a new connection: who we are, which database, and the script.

use std::time::Duration;

use redis::Pipeline;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::Replies;
use super::server::Server;
use super::settings::{Endpoint, Login};
use super::{answer, script, servers, transport};
use crate::error::{Cause, Error, Result};

/// The name our connections show in `CLIENT LIST`.
const NAME: &str = "dist-lock";

/// What a server without a password answers to one (Redis 6 and newer, and older ones). The
/// Node clients go on without it, and so do we.
const NO_PASSWORD_SET: [&str; 2] = ["without any password configured", "no password is set"];

/// What a server says to everybody before it hangs up, whoever asks for what.
const FULL: &str = "max number of clients";

/// More than the replies take, unless a refusal is long.
const ROOM: usize = 512;

/// What is said to a server before anything else.
#[derive(Debug)]
pub struct Greeting<'g> {
    /// Who we are.
    pub login: Option<&'g Login>,
    /// The number of the database.
    pub database: u32,
    /// The name under which our waiters queue.
    pub process: &'g str,
    /// Takes what the server says about itself.
    pub server: &'g Server,
    /// Where it listens.
    pub endpoint: &'g Endpoint,
    /// Whether a replica is of no use.
    pub must_be_primary: bool,
    /// See [`super::settings::Settings::settle_time`].
    pub settle_time: Duration,
}

impl Greeting<'_> {
    /// Logs in, chooses the database, loads the scripts, and finds out who and what the server is.
    pub async fn say(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    ) -> Result<()> {
        let mut greeting = Pipeline::new();
        if self.must_be_primary {
            greeting.cmd("ROLE");
        }
        if self.database != 0 {
            greeting.cmd("SELECT").arg(self.database);
        }
        for load in script::load() {
            greeting.add_command(load);
        }
        greeting
            .add_command(script::find_version_2())
            .add_command(script::probe(self.process, self.server.slot()));
        if !self.settle_time.is_zero() {
            greeting.cmd("INFO").arg("server");
        }

        let mut replies = log_in(stream, self.login, greeting).await?;
        let info = if self.settle_time.is_zero() { None } else { replies.pop() };
        let (probed, found) = (replies.pop(), replies.pop());
        let mut replies = replies.into_iter();
        if self.must_be_primary {
            must_be_primary(self.endpoint, replies.next())?;
        }
        if self.database != 0
            && let Some(selected) = replies.next()
        {
            answer::reply(selected)?;
        }
        if let Some(found) = found {
            self.server.found_version_2(&found);
        }
        if let Some(probed) = probed {
            must_not_be_of_cluster(&probed, self.server)?;
            self.server.probed(probed);
        }
        if let Some(info) = info {
            self.server.succession().met(self.endpoint, &info, self.settle_time);
        }
        Ok(())
    }
}

/// Understands the reply to `ROLE` of the server at `endpoint`; one who may not ask believes.
pub fn must_be_primary(endpoint: &Endpoint, role: Option<redis::Value>) -> Result<()> {
    let Some(redis::Value::Array(role)) = role else { return Ok(()) };
    match role.first() {
        Some(redis::Value::BulkString(role)) if role != b"master" => {
            let role = String::from_utf8_lossy(role);
            Err(Error::Unreachable(Cause::new(format!(
                "{endpoint}: no primary, its role is {role}"
            ))))
        }
        _ => Ok(()),
    }
}

/// Logs in, and returns the replies to the commands of `then`. They are not sent before: a server
/// hangs up on a long command of somebody it does not know.
pub async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    login: Option<&Login>,
    then: Pipeline,
) -> Result<Vec<redis::Value>> {
    let mut greeting = Pipeline::new();
    if let Some(Login { username, password }) = login {
        greeting.cmd("AUTH").arg(username).arg(password);
    }
    // A help to people, which a server may refuse.
    greeting.cmd("CLIENT").arg("SETNAME").arg(NAME);

    let mut replies = exchange(stream, &greeting).await?.into_iter();
    if let Some(login) = login
        && let Some(reply) = replies.next()
    {
        authenticated(login, answer::reply(reply))?;
    }
    if let Some(named) = replies.next() {
        must_be_let_in(&named)?;
    }
    let replies = exchange(stream, &then).await?;
    replies.iter().try_for_each(must_be_let_in)?;
    Ok(replies)
}

/// Sends the commands of `pipeline` and waits for a reply to each.
async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    pipeline: &Pipeline,
) -> Result<Vec<redis::Value>> {
    // A server that hung up may have said why before; so what it said is read first.
    let written = write(stream, &pipeline.get_packed_pipeline()).await;

    let mut arrived = Replies::default();
    let mut replies = Vec::with_capacity(pipeline.len());
    let mut room = [0; ROOM];
    loop {
        while let Some(reply) = arrived.next().map_err(Error::Unreachable)? {
            replies.push(reply);
        }
        if replies.len() >= pipeline.len() {
            return Ok(replies);
        }
        let lost = match stream.read(&mut room).await {
            Ok(count) if count > 0 => {
                arrived.add(&room[..count]);
                continue;
            }
            Ok(_) => written.err().unwrap_or(Error::Unreachable(Cause::hung_up())),
            Err(error) => transport::lost(&error),
        };
        replies.iter().try_for_each(must_be_let_in)?;
        return Err(lost);
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin + ?Sized), bytes: &[u8]) -> Result<()> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    written.await.map_err(|error| transport::lost(&error))
}

/// Some servers do nothing for us, whatever is asked: we did not log in, come from another host than
/// protected mode allows, or are one too many. The latter passes by itself.
fn must_be_let_in(reply: &redis::Value) -> Result<()> {
    let redis::Value::ServerError(_) = reply else { return Ok(()) };
    match answer::reply(reply.clone()) {
        Err(Error::Redis { message, .. }) if message.contains(FULL) => {
            Err(Error::Unreachable(Cause::new(message)))
        }
        Err(error) if matches!(error.redis_code(), Some("NOAUTH" | "DENIED")) => Err(error),
        _ => Ok(()),
    }
}

/// Whether a server says with this that it knows no such user, or not by this password.
pub fn is_wrong_password(code: &str, message: &str) -> bool {
    // Redis before 6 has no code for it.
    code == "WRONGPASS" || code == "ERR" && message == "invalid password"
}

/// A server that was not known to be a node of a Cluster refuses keys of different slots.
fn must_not_be_of_cluster(probed: &redis::Value, server: &Server) -> Result<()> {
    match answer::reply(probed.clone()) {
        Err(error) if error.redis_code() == Some("CROSSSLOT") && server.slot().is_none() => {
            Err(servers::explain(error))
        }
        _ => Ok(()),
    }
}

/// Understands the reply to `AUTH`.
fn authenticated(login: &Login, reply: Result<redis::Value>) -> Result<()> {
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
