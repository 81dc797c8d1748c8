//! What a program should know besides the answers to its calls: said once in a process, to one of
//! those who listen.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::backend::Text;
use crate::mutex::lock;

/// Something about a server or its use that a person should hear of. [`Notice::code`] is stable, the
/// text is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// The server drops keys when its memory is full, and locks are among those it may drop.
    Eviction {
        /// Where it listens.
        server: String,
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// Much of a ttl had passed before the grant was here.
    ShortTtl {
        /// The ttl.
        ttl: Duration,
        /// From the question to the answer.
        took: Duration,
    },
    /// The clock of a store went otherwise than ours.
    ClockStep {
        /// By how much at least.
        by: Duration,
        /// Whether it was set forward.
        forward: bool,
    },
    /// A lock that is renewed comes to the end of the longest time it may be held.
    MaxHold {
        /// Its key.
        key: Text,
        /// That time.
        max_hold: Duration,
    },
}

impl Notice {
    /// The stable name of this notice, the `code` of a warning.
    pub fn code(&self) -> &'static str {
        match self {
            Notice::Eviction { .. } => "DIST_LOCK_EVICTION",
            Notice::ShortTtl { .. } => "DIST_LOCK_SHORT_TTL",
            Notice::ClockStep { .. } => "DIST_LOCK_CLOCK_STEP",
            Notice::MaxHold { .. } => "DIST_LOCK_MAX_HOLD",
        }
    }

    /// What it is about: of one thing each is said once.
    fn subject(&self) -> String {
        match self {
            Notice::Eviction { server, policy } => format!("{server} {policy}"),
            Notice::ShortTtl { .. } | Notice::ClockStep { .. } | Notice::MaxHold { .. } => {
                String::new()
            }
        }
    }

    /// What it means for locks, and what can be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Notice::Eviction { .. } => {
                "A lock that is dropped is free for others while its holder believes in it. Set \
                 maxmemory-policy to noeviction, or keep locks in a Redis of their own."
            }
            Notice::ShortTtl { .. } => {
                "What is left may be over before the work is done. Use a ttl of ten times what a grant \
                 takes, or more; and see whether the event loop is blocked at times."
            }
            Notice::ClockStep { .. } => {
                "A lock lives by that clock: set forward it ends leases early, while their holders \
                 believe in them; set back it keeps the locks of the dead. Have the clock of the Redis \
                 host slewed, not set, and those of the nodes of a Cluster agree."
            }
            Notice::MaxHold { .. } => {
                "It is renewed no more, and is somebody else's then, whether its holder hangs or is only \
                 slow. Look at lock.signal, or raise maxHold."
            }
        }
    }
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Notice::Eviction { server, policy } => write!(
                f,
                "Redis at {server} may drop locks when its memory is full: its maxmemory-policy is {policy}"
            ),
            Notice::ShortTtl { ttl, took } => {
                let (ttl, took) = (ttl.as_millis(), took.as_millis());
                write!(
                    f,
                    "a lock with a ttl of {ttl} ms was granted {took} ms after it was asked for"
                )
            }
            Notice::ClockStep { by, forward } => {
                let direction = if *forward { "forward" } else { "back" };
                write!(f, "the clock of Redis was set {direction} by {} ms or more", by.as_millis())
            }
            Notice::MaxHold { key, max_hold } => {
                write!(
                    f,
                    "{key} is about to have been held for its maxHold of {} ms",
                    max_hold.as_millis()
                )
            }
        }
    }
}

/// Something that happens again and again, for programs that keep watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A server is reached, or is not any more.
    Connection {
        /// Where it listens.
        server: String,
        /// Whether it is reached.
        is_connected: bool,
        /// Why not.
        reason: Option<String>,
    },
}

/// Somebody who passes notices on to people, and events to programs.
pub trait Listen: Send + Sync {
    /// Passes `notice` on; `false`: there is nobody any more to whom it could go.
    fn notice(self: Arc<Self>, notice: &Notice) -> bool;

    /// Passes `event` on.
    fn event(self: Arc<Self>, _event: &Event) {}
}

#[derive(Default)]
struct Said {
    /// Those that began to listen first come first.
    listeners: Vec<Weak<dyn Listen>>,
    notices: HashSet<(&'static str, String)>,
}

static SAID: LazyLock<Mutex<Said>> = LazyLock::new(Mutex::default);

/// From now on, and while it lives, `listener` may be told what nobody before it passes on.
pub fn listen(listener: Weak<dyn Listen>) {
    let listeners = &mut said().listeners;
    listeners.retain(|listener| listener.strong_count() > 0);
    listeners.push(listener);
}

/// Tells one listener, unless one was told of the same thing before. Where nobody listens it is as if
/// nothing had been said.
pub fn tell(notice: Notice) {
    let name = (notice.code(), notice.subject());
    let mut said = said();
    if said.notices.contains(&name) {
        return;
    }
    let mut listeners = said.listeners.iter().filter_map(Weak::upgrade);
    if listeners.any(|listener| listener.notice(&notice)) {
        said.notices.insert(name);
    }
}

/// Tells all listeners.
pub fn publish(event: &Event) {
    let listeners: Vec<_> = said().listeners.iter().filter_map(Weak::upgrade).collect();
    listeners.into_iter().for_each(|listener| listener.event(event));
}

fn said() -> MutexGuard<'static, Said> {
    lock(&SAID)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Listener {
        told: AtomicUsize,
        is_there: bool,
    }

    impl Listen for Listener {
        fn notice(self: Arc<Self>, _: &Notice) -> bool {
            self.told.fetch_add(1, Ordering::SeqCst);
            self.is_there
        }
    }

    fn listener(is_there: bool) -> Arc<Listener> {
        let listener = Arc::new(Listener { told: AtomicUsize::new(0), is_there });
        let weak: Weak<Listener> = Arc::downgrade(&listener);
        listen(weak);
        listener
    }

    fn tell_of(server: &str) {
        tell(Notice::Eviction { server: server.into(), policy: "allkeys-lru".into() });
    }

    #[test]
    fn a_notice_reaches_one_listener_once() {
        tell_of("one");
        drop(listener(true));
        let listeners = [false, true, true].map(listener);

        for server in ["one", "one", "other", "one"] {
            tell_of(server);
        }

        let told = listeners.map(|listener| listener.told.load(Ordering::SeqCst));
        assert_eq!(told, [2, 2, 0], "the first knows nobody, the second passes both on");
    }
}
