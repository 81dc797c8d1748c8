//! Messages to this process: a connection of its own, on which the server may speak first.

use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::opener::Opener;
use super::primary::Left;
use super::pushes::Pushes;
use crate::backend::{Handed, Message, Messages};
use crate::error::Result;

/// The channel of a process; `src/lua/queue/queue.lua` says the same.
fn channel(process: &str) -> String {
    format!("dist-lock:process:{process}")
}

/// Subscribes to the messages for this process. They end when the connection does; dropping them
/// closes it.
pub async fn subscribe(opener: &Opener) -> Result<Messages> {
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(channel(opener.process()));
    let (stream, left) = opener.subscribed(subscribe).await?;
    let (sender, messages) = unbounded_channel();
    let pushes = Pushes::over(stream, opener.command_timeout());
    let reach = opener.reach().clone();
    tokio::spawn(async move {
        pump(pushes, left, &sender).await;
        if !sender.is_closed() {
            reach.lost("the connection for messages broke");
        }
    });
    Ok(messages)
}

/// Hands on what comes until the connection is lost, its server left, or nobody listens.
async fn pump(mut pushes: Pushes, mut left: Left, listener: &UnboundedSender<Message>) {
    loop {
        let payload = select! {
            payload = pushes.next() => payload,
            () = left.until() => return,
            () = listener.closed() => return,
        };
        let Some(payload) = payload else { return };
        if let Some(message) = understand(&payload) {
            // That nobody listens is seen above.
            let _ = listener.send(message);
        }
    }
}

/// What `src/lua/queue/queue.lua` tells.
fn understand(payload: &[u8]) -> Option<Message> {
    let text = String::from_utf8_lossy(payload);
    let (kind, rest) = text.split_once(' ')?;
    match kind {
        "granted" => {
            let mut words = rest.splitn(4, ' ');
            let (id, token) = (words.next()?.into(), words.next()?.parse().ok()?);
            let at = Duration::from_millis(words.next()?.parse().ok()?);
            Some(Message::Granted(words.next()?.into(), Handed { id, token }, at))
        }
        "look" => Some(Message::Look(rest.into())),
        "lost" => handed(rest).map(Message::Lost),
        _ => None,
    }
}

/// An id and a token.
fn handed(lock: &str) -> Option<Handed> {
    let (id, token) = lock.split_once(' ')?;
    Some(Handed { id: id.into(), token: token.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_understood_or_ignored() {
        let handed = Handed { id: "c1".into(), token: 1_795_445_887_480_303 };
        let at = Duration::from_millis(1_795_445_887_480);
        let granted = Message::Granted("lock:a b".into(), handed.clone(), at);

        let payload = b"granted c1 1795445887480303 1795445887480 lock:a b";
        assert_eq!(understand(payload), Some(granted));
        assert_eq!(understand(b"lost c1 1795445887480303"), Some(Message::Lost(handed)));
        assert_eq!(understand(b"look lock:a b"), Some(Message::Look("lock:a b".into())));
        for nonsense in [
            &b""[..],
            b"granted",
            b"granted c1",
            b"granted c1 1 1",
            b"granted c1 1 x k",
            b"lost c1",
            b"other c1 1",
        ] {
            assert_eq!(understand(nonsense), None);
        }
    }
}
