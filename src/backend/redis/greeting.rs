//! What is said first on a new connection: who we are, which database, and the script.

use redis::Pipeline;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::Replies;
use super::server::Server;
use super::settings::Login;
use super::{script, step, transport};
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

/// Logs in, chooses the database, loads the scripts, and finds out what the server can do.
pub async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    login: Option<&Login>,
    database: u32,
    process: &str,
    server: &Server,
) -> Result<()> {
    let mut greeting = Pipeline::new();
    if database != 0 {
        greeting.cmd("SELECT").arg(database);
    }
    for load in script::load() {
        greeting.add_command(load);
    }
    greeting.add_command(script::find_version_2()).add_command(script::probe(process));

    let mut replies = log_in(stream, login, greeting).await?;
    if let Some(probe) = replies.pop() {
        server.probed(probe);
    }
    if let Some(found) = replies.pop() {
        server.found_version_2(&found);
    }
    match replies.into_iter().next() {
        Some(selected) if database != 0 => step::reply(selected).map(drop),
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
        authenticated(login, step::reply(reply))?;
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
    match step::reply(reply.clone()) {
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
