//! What is said first on a new connection: who we are, which database, and the script.

use redis::Pipeline;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::Replies;
use super::settings::Login;
use super::{script, step};
use crate::error::{Cause, Error, Result};

/// The name our connections show in `CLIENT LIST`.
const NAME: &str = "dist-lock";

/// What a server without a password answers to one (Redis 6 and newer, and older ones). The
/// Node clients go on without it, and so do we.
const NO_PASSWORD_SET: [&str; 2] = ["without any password configured", "no password is set"];

/// More than the replies take, unless a refusal is long.
const ROOM: usize = 512;

/// Logs in, chooses the database and loads the script.
pub async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    login: Option<&Login>,
    database: u32,
) -> Result<()> {
    let mut greeting = Pipeline::new();
    if let Some(Login { username, password }) = login {
        greeting.cmd("AUTH").arg(username).arg(password);
    }
    if database != 0 {
        greeting.cmd("SELECT").arg(database);
    }
    // A help to people, and to the first call; a server may refuse them.
    greeting.cmd("CLIENT").arg("SETNAME").arg(NAME);
    greeting.add_command(script::load());

    let replies = exchange(stream, &greeting).await.map_err(Error::Unreachable)?;
    let mut replies = replies.into_iter().map(step::reply);
    if let Some(login) = login
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

/// Sends the commands of `pipeline` and waits for a reply to each.
async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    pipeline: &Pipeline,
) -> std::result::Result<Vec<redis::Value>, Cause> {
    let failed = |error: std::io::Error| Cause::from(&error);
    stream.write_all(&pipeline.get_packed_pipeline()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;

    let mut arrived = Replies::default();
    let mut replies = Vec::with_capacity(pipeline.len());
    let mut room = [0; ROOM];
    loop {
        while let Some(reply) = arrived.next()? {
            replies.push(reply);
        }
        if replies.len() >= pipeline.len() {
            return Ok(replies);
        }
        match stream.read(&mut room).await.map_err(failed)? {
            0 => return Err(Cause::hung_up()),
            count => arrived.add(&room[..count]),
        }
    }
}

/// Nothing can be done before authenticating; the server would hang up on a long command.
fn is_no_auth(reply: &Result<redis::Value>) -> bool {
    matches!(reply, Err(Error::Redis { code, .. }) if code == "NOAUTH")
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
