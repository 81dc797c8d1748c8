//! The steps as the script takes them.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

use crate::backend::{Sharing, Text, Waiter};
use crate::key::Slot;

/// One atomic step, as [`crate::Backend`] describes it, on one key.
#[derive(Debug, Clone)]
pub struct Step {
    /// The lock's key.
    pub key: Text,
    /// What to do with it.
    pub action: Action,
    /// In a Cluster, how it gets to the key.
    pub route: Option<Route>,
}

/// How a step gets to its key in a Cluster. Only steps of the same route share a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The slot of the key, and of all other keys the step touches.
    pub slot: Slot,
    /// The node has only begun to take the slot over, and was named for this once.
    pub asking: bool,
    /// The slot is being moved, key by key: none but the lock's own is touched.
    pub alone: bool,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Take the lock, or join the queue.
    Acquire {
        /// Who asks.
        waiter: Waiter,
        /// Whether to join the queue.
        wait: bool,
    },
    /// Free the lock.
    Release {
        /// The lock's id.
        id: Text,
    },
    /// Change the remaining time of the lock.
    Extend {
        /// The lock's id.
        id: Text,
        /// The new time, in digits: Redis decides which numbers it takes.
        milliseconds: String,
    },
    /// Leave the queue.
    Abandon {
        /// Who waited.
        waiter: Waiter,
    },
    /// Still wait.
    Beat {
        /// The first waiter of the process.
        first: Waiter,
        /// The time between two tries where nobody tells when the lock is free.
        delay: Duration,
    },
    /// Take the lock from whoever holds it.
    Steal {
        /// Who asks.
        waiter: Waiter,
    },
    /// Take the lock from whoever holds it, for the first who waits.
    Force,
    /// Take several locks or none; the step's own key is that of the first.
    All {
        /// The locks, with one owner and ttl.
        wanted: Arc<[(Text, Waiter)]>,
    },
    /// Look who holds the lock.
    Read,
    /// Look who holds the lock and who waits.
    List,
    /// Not a step, but a command of its own.
    Command(Cmd),
}

impl Step {
    /// A step on one server.
    pub fn new(key: Text, action: Action) -> Self {
        Step { key, action, route: None }
    }

    /// Whether it is about the lock with this id.
    pub fn concerns(&self, lock: &str) -> bool {
        match &self.action {
            Action::Acquire { waiter, .. }
            | Action::Steal { waiter }
            | Action::Abandon { waiter }
            | Action::Beat { first: waiter, .. } => &*waiter.id == lock,
            Action::Release { id } | Action::Extend { id, .. } => &**id == lock,
            Action::All { wanted } => wanted.iter().any(|(_, waiter)| &*waiter.id == lock),
            Action::Force | Action::Read | Action::List | Action::Command(_) => false,
        }
    }

    /// Whether it may let its caller believe in a lock.
    pub fn grants(&self) -> bool {
        match &self.action {
            Action::Acquire { .. } | Action::Steal { .. } | Action::All { .. } => true,
            Action::Extend { milliseconds, .. } => !milliseconds.starts_with(['-', '0']),
            _ => false,
        }
    }

    /// Whether it does so with this answer.
    pub fn has_granted(&self, answer: &Value) -> bool {
        self.grants() && matches!(answer, Value::Int(1) | Value::BulkString(_))
    }

    /// How many bytes the step takes in a command, at the most or thereabouts.
    pub fn size(&self) -> usize {
        let texts = match &self.action {
            Action::Acquire { waiter, .. }
            | Action::Steal { waiter }
            | Action::Abandon { waiter }
            | Action::Beat { first: waiter, .. } => waiter.id.len() + waiter.owner.len(),
            Action::Release { id } | Action::Extend { id, .. } => id.len(),
            Action::All { wanted } => wanted.iter().map(|(key, _)| 2 * key.len() + 80).sum(),
            Action::Force | Action::Read | Action::List | Action::Command(_) => 0,
        };
        2 * self.key.len() + texts + 80
    }

    /// Whether it may join the queue.
    pub fn joins(&self) -> bool {
        matches!(self.action, Action::Acquire { wait: true, .. })
    }

    /// Whether its work can be done with nothing but the lock's own key: those who wait then find
    /// out by themselves.
    pub fn can_go_alone(&self) -> bool {
        matches!(self.action, Action::Release { .. } | Action::Extend { .. } | Action::Read)
    }

    /// Whether somebody waits.
    pub fn waits(&self) -> bool {
        matches!(self.action, Action::Acquire { wait: true, .. } | Action::Beat { .. })
    }

    /// Whether the script can go through it in one run with `other`, see [`Self::write_head_to`].
    pub fn is_like(&self, other: &Step) -> bool {
        match (&self.action, &other.action) {
            (
                Action::Acquire { waiter, wait },
                Action::Acquire { waiter: others, wait: other_waits },
            ) => {
                (&waiter.owner, waiter.ttl, waiter.sharing, wait)
                    == (&others.owner, others.ttl, others.sharing, other_waits)
            }
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    /// The keys of the locks it is about.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        let (wanted, own) = match &self.action {
            Action::All { wanted } => (&**wanted, None),
            _ => (&[][..], Some(&self.key)),
        };
        wanted.iter().map(|(key, _)| key).chain(own)
    }

    /// Whether it leaves in a script of its own.
    pub fn goes_by_itself(&self) -> bool {
        matches!(self.action, Action::All { .. } | Action::Command(_))
    }

    /// Appends what a run of `count` steps like this one has in common to the arguments of the script.
    pub fn write_head_to(&self, count: usize, command: &mut Cmd) {
        command.arg(self.name()).arg(count);
        if let Action::Acquire { waiter, wait } = &self.action {
            write_terms(command.arg(&*waiter.owner), waiter).arg(u8::from(*wait));
        }
        if let Action::All { wanted } = &self.action
            && let Some((_, waiter)) = wanted.first()
        {
            write_terms(command.arg(&*waiter.owner), waiter);
        }
    }

    /// Appends what it takes besides that.
    pub fn write_to(&self, command: &mut Cmd) {
        match &self.action {
            Action::Acquire { waiter: Waiter { id, .. }, .. } | Action::Release { id } => {
                command.arg(&**id);
            }
            Action::Extend { id, milliseconds } => {
                command.arg(&**id).arg(milliseconds);
            }
            Action::Abandon { waiter } | Action::Steal { waiter } => {
                write_waiter(command, waiter);
            }
            Action::All { wanted } => wanted.iter().for_each(|(_, waiter)| {
                command.arg(&*waiter.id);
            }),
            Action::Force => {
                command.arg("").arg("").arg(0);
            }
            Action::Beat { first, delay } => {
                write_waiter(command, first).arg(milliseconds(*delay).max(1));
            }
            Action::Read | Action::List | Action::Command(_) => {}
        }
    }

    /// Appends all of it, as the script takes it where there is no queue.
    pub fn write_classic_to(&self, command: &mut Cmd) {
        match &self.action {
            Action::Acquire { waiter, .. } if waiter.sharing == Sharing::Exclusive => {
                write_waiter(command.arg("acquire"), waiter);
            }
            Action::Acquire { .. }
            | Action::Steal { .. }
            | Action::All { .. }
            | Action::Force
            | Action::List => {
                command.arg("unsupported");
            }
            Action::Release { id } | Action::Abandon { waiter: Waiter { id, .. } } => {
                command.arg("release").arg(&**id);
            }
            Action::Extend { id, milliseconds } => {
                command.arg("extend").arg(&**id).arg(milliseconds);
            }
            Action::Beat { .. } => {
                command.arg("beat");
            }
            Action::Read | Action::Command(_) => {
                command.arg("read");
            }
        }
    }

    fn name(&self) -> &'static str {
        match &self.action {
            Action::Acquire { waiter, .. } => match waiter.sharing {
                Sharing::Exclusive => "acquire",
                Sharing::Shared | Sharing::Permits(_) => "share",
            },
            Action::Steal { .. } | Action::Force => "steal",
            Action::All { .. } => "all",
            Action::List => "list",
            Action::Release { .. } => "release",
            Action::Extend { .. } => "extend",
            Action::Abandon { .. } => "abandon",
            Action::Beat { .. } => "beat",
            Action::Read | Action::Command(_) => "read",
        }
    }
}

fn write_waiter<'c>(command: &'c mut Cmd, waiter: &Waiter) -> &'c mut Cmd {
    write_terms(command.arg(&*waiter.id).arg(&*waiter.owner), waiter)
}

/// The time to live, and behind a colon how many may hold the lock at once, if it would be shared.
fn write_terms<'c>(command: &'c mut Cmd, waiter: &Waiter) -> &'c mut Cmd {
    let ttl = milliseconds(waiter.ttl);
    match waiter.sharing.capacity() {
        None => command.arg(ttl),
        Some(capacity) => command.arg(format!("{ttl}:{capacity}")),
    }
}

/// Whole milliseconds, as many as Redis and Lua can count.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 53)
}
