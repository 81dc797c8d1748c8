//! Whether a server drops keys when its memory is full. Every lock has an expiry, so all policies but
//! one may choose it.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, Value};

use super::settings::Target;
use crate::notice::{self, Notice};

/// The question that is asked of a server once. Nothing depends on the answer: who may not ask learns
/// nothing.
#[derive(Debug, Default)]
pub struct Eviction {
    was_asked: AtomicBool,
}

impl Eviction {
    /// The command that asks; `None` if that was done.
    pub fn question(&self) -> Option<Cmd> {
        let was_asked = self.was_asked.load(Ordering::Relaxed);
        if was_asked || self.was_asked.swap(true, Ordering::Relaxed) {
            return None;
        }
        // CONFIG GET would say it in fewer words, but is refused more often.
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        Some(command)
    }

    /// Understands the reply, and warns of what it means.
    pub fn found(&self, reply: &Value, server: &Target) {
        let Value::BulkString(text) = reply else { return };
        if let Some(policy) = policy(&String::from_utf8_lossy(text)) {
            notice::tell(Notice::Eviction { server: server.to_string(), policy });
        }
    }
}

/// The policy by which locks may be dropped.
fn policy(info: &str) -> Option<String> {
    let field = |name: &str| {
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value)
    };
    // Zero is no limit: nothing is ever dropped.
    let is_limited = field("maxmemory")? != "0";
    let policy = field("maxmemory_policy")?;
    (is_limited && policy != "noeviction").then(|| policy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(maxmemory: &str, policy: &str) -> String {
        let (before, after) = ("# Memory\r\nused_memory:7", "maxmemory_human:1M\r\nx:y:z");
        format!("{before}\r\nmaxmemory:{maxmemory}\r\n{after}\r\nmaxmemory_policy:{policy}\r\n")
    }

    #[test]
    fn a_server_that_may_drop_locks_is_told_from_one_that_never_does() {
        assert_eq!(policy(&info("1048576", "volatile-ttl")), Some("volatile-ttl".to_owned()));
        assert_eq!(policy(&info("1048576", "noeviction")), None);
        assert_eq!(policy(&info("0", "allkeys-lru")), None, "it has no limit");
        assert_eq!(policy("# Memory\r\nused_memory:7\r\n"), None, "it does not say");
    }

    #[test]
    fn a_server_is_asked_once() {
        let eviction = Eviction::default();

        assert!(eviction.question().is_some());
        assert!(eviction.question().is_none());
    }
}
