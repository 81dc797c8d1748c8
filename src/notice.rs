//! What a program should know besides the answers to its calls: said once in a process, to one of
//! those who listen.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// Something about a server that a person should hear of. [`Notice::code`] is stable, the text is
/// not.
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
}

impl Notice {
    /// The stable name of this notice, the `code` of a warning.
    pub fn code(&self) -> &'static str {
        match self {
            Notice::Eviction { .. } => "DIST_LOCK_EVICTION",
        }
    }

    /// What it means for locks, and what can be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Notice::Eviction { .. } => {
                "A lock that is dropped is free for others while its holder believes in it. Set \
                 maxmemory-policy to noeviction, or keep locks in a Redis of their own."
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
        }
    }
}

/// Somebody who passes notices on to people.
pub trait Listen: Send + Sync {
    /// Passes `notice` on; `false`: there is nobody any more to whom it could go.
    fn notice(self: Arc<Self>, notice: &Notice) -> bool;
}

#[derive(Default)]
struct Said {
    /// Those that began to listen first come first.
    listeners: Vec<Weak<dyn Listen>>,
    notices: HashSet<Notice>,
}

static SAID: LazyLock<Mutex<Said>> = LazyLock::new(Mutex::default);

/// From now on, and while it lives, `listener` may be told what nobody before it passes on.
pub fn listen(listener: Weak<dyn Listen>) {
    let listeners = &mut said().listeners;
    listeners.retain(|listener| listener.strong_count() > 0);
    listeners.push(listener);
}

/// Tells one listener, unless an equal notice was told before. Where nobody listens it is as if
/// nothing had been said.
pub fn tell(notice: Notice) {
    let mut said = said();
    if said.notices.contains(&notice) {
        return;
    }
    let mut listeners = said.listeners.iter().filter_map(Weak::upgrade);
    if listeners.any(|listener| listener.notice(&notice)) {
        said.notices.insert(notice);
    }
}

fn said() -> MutexGuard<'static, Said> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
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
