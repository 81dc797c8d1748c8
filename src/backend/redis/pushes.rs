//! What a server says by itself on a connection that has subscribed to something.

use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::reply::Replies;
use super::transport::Stream;

/// A connection that is silent for this long is asked whether it is there. Until it is given up
/// beats do without it.
const SILENCE: Duration = Duration::from_secs(5);

/// More than a message takes, unless a key is long.
const ROOM: usize = 4096;

/// What arrives on a connection, until it is lost; dropping it closes the connection.
pub struct Pushes {
    stream: Box<dyn Stream>,
    arrived: Replies,
    /// How long the answer to a question may take.
    limit: Duration,
    heard: Instant,
    is_asked: bool,
}

impl Pushes {
    /// What arrives on `stream`; a question whether it is there may take `limit`.
    pub fn over(stream: Box<dyn Stream>, limit: Duration) -> Self {
        let (arrived, heard) = (Replies::default(), Instant::now());
        Pushes { stream, arrived, limit, heard, is_asked: false }
    }

    /// The next that was published, and on which channel. `None`: the connection is lost. Nothing is
    /// lost where this is dropped and called again.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        let mut room = [0; ROOM];
        loop {
            while let Some(reply) = self.arrived.next().ok()? {
                if let Some(payload) = published(reply) {
                    return Some(payload);
                }
            }
            let patience = if self.is_asked { self.limit } else { SILENCE };
            match timeout_at(self.heard + patience, self.stream.read(&mut room)).await {
                Ok(Ok(count)) if count > 0 => {
                    self.arrived.add(&room[..count]);
                    // Even a refusal of the question is an answer.
                    (self.is_asked, self.heard) = (false, Instant::now());
                }
                Ok(_) => return None,
                Err(_) if self.is_asked => return None,
                Err(_) => {
                    let ping = redis::cmd("PING").get_packed_command();
                    (self.is_asked, self.heard) = (true, Instant::now());
                    self.stream.write_all(&ping).await.ok()?;
                }
            }
        }
    }
}

/// What was said on a channel, if that is what the server sent.
fn published(reply: Value) -> Option<Vec<u8>> {
    let Value::Array(parts) = reply else { return None };
    match <[Value; 3]>::try_from(parts) {
        Ok([Value::BulkString(kind), _, Value::BulkString(payload)]) if kind == b"message" => {
            Some(payload)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_ignored() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let message = Value::Array(vec![text("message"), text("channel"), text("look k")]);

        assert_eq!(published(message), Some(b"look k".to_vec()));
        assert_eq!(published(Value::Array(vec![text("pong"), text("")])), None);
        assert_eq!(published(Value::SimpleString("PONG".into())), None);
    }
}
