//! Messages to this process: a connection of its own, on which the server may speak first.

use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::opener::Opener;
use super::reply::Replies;
use super::transport::Stream;
use crate::backend::{Handed, Message, Messages};
use crate::error::Result;

/// A connection that is silent for this long is asked whether it is there. Until it is given up
/// beats do without it.
const SILENCE: Duration = Duration::from_secs(5);

/// More than a message takes, unless a key is long.
const ROOM: usize = 4096;

/// The channel of a process; `src/lua/queue/queue.lua` says the same.
fn channel(process: &str) -> String {
    format!("dist-lock:process:{process}")
}

/// Subscribes to the messages for this process. They end when the connection does; dropping them
/// closes it.
pub async fn subscribe(opener: &Opener) -> Result<Messages> {
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(channel(opener.process()));
    let stream = opener.subscribed(subscribe).await?;
    let (sender, messages) = unbounded_channel();
    tokio::spawn(pump(stream, sender, opener.command_timeout()));
    Ok(messages)
}

/// Hands on what comes until the connection is lost or nobody listens.
async fn pump(mut stream: Box<dyn Stream>, listener: UnboundedSender<Message>, limit: Duration) {
    let mut arrived = Replies::default();
    let mut room = [0; ROOM];
    let mut heard = Instant::now();
    let mut is_asked = false;
    loop {
        let patience = if is_asked { limit } else { SILENCE };
        select! {
            count = stream.read(&mut room) => match count {
                Ok(count) if count > 0 => arrived.add(&room[..count]),
                _ => return,
            },
            () = listener.closed() => return,
            () = sleep_until(heard + patience) => {
                let ping = redis::cmd("PING").get_packed_command();
                if is_asked || stream.write_all(&ping).await.is_err() {
                    return;
                }
                is_asked = true;
                heard = Instant::now();
                continue;
            }
        }
        // Even a refusal of the question is an answer.
        (is_asked, heard) = (false, Instant::now());
        loop {
            match arrived.next() {
                Ok(Some(reply)) => {
                    if let Some(message) = read(&reply) {
                        // That nobody listens is seen above.
                        let _ = listener.send(message);
                    }
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// What was said on the channel, if that is what the server sent.
fn read(reply: &Value) -> Option<Message> {
    match reply {
        Value::Array(parts) => match parts.as_slice() {
            [Value::BulkString(kind), _, Value::BulkString(payload)] if kind == b"message" => {
                understand(payload)
            }
            _ => None,
        },
        _ => None,
    }
}

/// What `src/lua/queue/queue.lua` tells.
fn understand(payload: &[u8]) -> Option<Message> {
    let text = String::from_utf8_lossy(payload);
    let (kind, rest) = text.split_once(' ')?;
    match kind {
        "granted" => {
            let mut words = rest.split(' ');
            let (id, token, at) = (words.next()?.into(), words.next()?, words.next()?);
            let handed = Handed { id, token: token.parse().ok()? };
            Some(Message::Granted(handed, Duration::from_millis(at.parse().ok()?)))
        }
        "look" => Some(Message::Look(rest.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_understood_or_ignored() {
        let handed = Handed { id: "c1".into(), token: 1_795_445_887_480_303 };
        let granted = Message::Granted(handed, Duration::from_millis(1_795_445_887_480));

        assert_eq!(understand(b"granted c1 1795445887480303 1795445887480"), Some(granted));
        assert_eq!(understand(b"look lock:a b"), Some(Message::Look("lock:a b".into())));
        for nonsense in [&b""[..], b"granted", b"granted c1", b"granted c1 1 x", b"other c1 1 1"] {
            assert_eq!(understand(nonsense), None);
        }
    }

    #[test]
    fn what_is_no_message_is_ignored() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let message = Value::Array(vec![text("message"), text("channel"), text("look k")]);

        assert_eq!(read(&message), Some(Message::Look("k".into())));
        assert_eq!(read(&Value::Array(vec![text("pong"), text("")])), None);
        assert_eq!(read(&Value::SimpleString("PONG".into())), None);
    }
}
