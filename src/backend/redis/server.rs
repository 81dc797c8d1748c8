//! What is known of a server, by all connections to it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::answer;
use super::eviction::Eviction;
use super::succession::Succession;
use crate::backend::Mode;
use crate::error::{Error, Result};
use crate::key::Slot;
use crate::mutex::lock;

/// A process of version 2 may be started at any time; this often the server is asked for one.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What is known of a server.
#[derive(Debug)]
pub struct Server {
    mode: Mutex<Mode>,
    met_version_2: AtomicBool,
    asked: Mutex<Option<Instant>>,
    eviction: Eviction,
    succession: Succession,
    slot: Mutex<Option<Slot>>,
}

impl Default for Server {
    fn default() -> Self {
        let mode = Mutex::new(Mode::Queue);
        Server {
            mode,
            met_version_2: AtomicBool::new(false),
            asked: Mutex::default(),
            eviction: Eviction::default(),
            succession: Succession::default(),
            slot: Mutex::default(),
        }
    }
}

impl Server {
    /// One of the slots it has, if it is a node of a Cluster: where it can be tried out.
    pub fn slot(&self) -> Option<Slot> {
        *lock(&self.slot)
    }

    /// It is a node of a Cluster, and has this slot among others.
    pub fn has_slot(&self, slot: Slot) {
        *lock(&self.slot) = Some(slot);
    }

    /// How waiting works with it, as far as is known.
    pub fn mode(&self) -> Mode {
        lock(&self.mode).clone()
    }

    /// Whether it is the one it was.
    pub fn succession(&self) -> &Succession {
        &self.succession
    }

    /// Whether it can keep queues for us, as far as is known.
    pub fn has_queue(&self) -> bool {
        *lock(&self.mode) == Mode::Queue
    }

    /// Whether processes of version 2 have used it.
    pub fn met_version_2(&self) -> bool {
        self.met_version_2.load(Ordering::Relaxed)
    }

    /// Whether it is time to find out again if it has met version 2.
    pub fn asks_for_version_2(&self) -> bool {
        let mut asked = lock(&self.asked);
        let is_due = asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN);
        if is_due {
            *asked = Some(Instant::now());
        }
        is_due
    }

    /// Understands the reply to [`super::script::find_version_2`]; who may not ask learns nothing.
    pub fn found_version_2(&self, reply: &Value) {
        let met = matches!(reply, Value::Array(known) if known.first() == Some(&Value::Int(1)));
        self.met_version_2.store(met, Ordering::Relaxed);
    }

    /// Whether it drops keys when its memory is full.
    pub fn eviction(&self) -> &Eviction {
        &self.eviction
    }

    /// Understands the reply to [`super::script::probe`].
    pub fn probed(&self, reply: Value) {
        *lock(&self.mode) = mode(answer::reply(reply));
    }
}

fn mode(probed: Result<Value>) -> Mode {
    match probed {
        Err(Error::Redis { code, message }) if forbids_queue(&code, &message) => {
            Mode::Classic(reason(&code, &message))
        }
        _ => Mode::Queue,
    }
}

/// Whether a server that answers the probe with this can keep no queue for us: a command, a key or a
/// channel is refused, or is not known. All else (it is full, it reads its data, it is a replica)
/// says nothing about that.
fn forbids_queue(code: &str, message: &str) -> bool {
    const REFUSALS: [&str; 5] = [
        // Redis 7.0 and older; newer, and Valkey.
        "user executing the script can't",
        "ACL failure in script",
        "nknown",
        "rong number of arg",
        "after non deterministic commands",
    ];
    code == "NOPERM" || REFUSALS.iter().any(|refusal| message.contains(refusal))
}

/// What the server said, without our script, which some repeat.
fn reason(code: &str, message: &str) -> String {
    let (said, _) = message.split_once(", with args").unwrap_or((message, ""));
    format!("{code} {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, message: &str) -> Mode {
        mode(Err(Error::Redis { code: code.into(), message: message.into() }))
    }

    #[test]
    fn a_server_that_refuses_what_a_queue_takes_has_none_and_says_why() {
        let refusals = [
            ("ERR", "Write commands not allowed after non deterministic commands."),
            ("ERR", "The user executing the script can't publish to the channel mentioned"),
            ("ERR", "ACL failure in script: No permissions to access a channel"),
            ("ERR", "unknown command: PUBLISH"),
            ("NOPERM", "this user has no permissions to access one of the keys"),
        ];

        for (code, message) in refusals {
            assert_eq!(refused(code, message), Mode::Classic(format!("{code} {message}")));
        }
    }

    #[test]
    fn a_reason_does_not_repeat_the_script() {
        let said = "unknown command 'EVAL', with args beginning with: '-- Do what the steps do";

        assert_eq!(refused("ERR", said), Mode::Classic("ERR unknown command 'EVAL'".into()));
    }

    #[test]
    fn a_server_that_has_other_troubles_is_not_taken_for_one_without_a_queue() {
        assert_eq!(refused("OOM", "command not allowed when used memory"), Mode::Queue);
        assert_eq!(
            refused("READONLY", "You can't write against a read only replica."),
            Mode::Queue
        );
        assert_eq!(mode(Ok(Value::Int(1))), Mode::Queue);
    }
}
