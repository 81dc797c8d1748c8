//! The steps as the script takes them, and its answers.

use std::time::Duration;

use redis::{Cmd, ServerError, Value};

use crate::backend::{Acquired, Beat, Handed, Held, Holder, Released, Text, Token, View, Waiter};
use crate::error::{Error, Result};
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
    /// Look who holds the lock.
    Read,
}

impl Step {
    /// Whether it is about the lock with this id.
    pub fn concerns(&self, lock: &str) -> bool {
        match &self.action {
            Action::Acquire { waiter, .. }
            | Action::Abandon { waiter }
            | Action::Beat { first: waiter, .. } => &*waiter.id == lock,
            Action::Release { id } | Action::Extend { id, .. } => &**id == lock,
            Action::Read => false,
        }
    }

    /// Whether it may let its caller believe in a lock.
    pub fn grants(&self) -> bool {
        match &self.action {
            Action::Acquire { .. } => true,
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
            | Action::Abandon { waiter }
            | Action::Beat { first: waiter, .. } => waiter.id.len() + waiter.owner.len(),
            Action::Release { id } | Action::Extend { id, .. } => id.len(),
            Action::Read => 0,
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
        matches!(self.action, Action::Release { .. } | Action::Extend { .. })
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
            ) => (&waiter.owner, waiter.ttl, wait) == (&others.owner, others.ttl, other_waits),
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    /// Appends what a run of `count` steps like this one has in common to the arguments of the script.
    pub fn write_head_to(&self, count: usize, command: &mut Cmd) {
        command.arg(self.name()).arg(count);
        if let Action::Acquire { waiter: Waiter { owner, ttl, .. }, wait } = &self.action {
            command.arg(&**owner).arg(milliseconds(*ttl)).arg(u8::from(*wait));
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
            Action::Abandon { waiter } => {
                write_waiter(command, waiter);
            }
            Action::Beat { first, delay } => {
                write_waiter(command, first).arg(milliseconds(*delay).max(1));
            }
            Action::Read => {}
        }
    }

    /// Appends all of it, as the script takes it where there is no queue.
    pub fn write_classic_to(&self, command: &mut Cmd) {
        match &self.action {
            Action::Acquire { waiter, .. } => {
                write_waiter(command.arg("acquire"), waiter);
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
            Action::Read => {
                command.arg("read");
            }
        }
    }

    fn name(&self) -> &'static str {
        match &self.action {
            Action::Acquire { .. } => "acquire",
            Action::Release { .. } => "release",
            Action::Extend { .. } => "extend",
            Action::Abandon { .. } => "abandon",
            Action::Beat { .. } => "beat",
            Action::Read => "read",
        }
    }
}

fn write_waiter<'c>(command: &'c mut Cmd, Waiter { id, owner, ttl }: &Waiter) -> &'c mut Cmd {
    command.arg(&**id).arg(&**owner).arg(milliseconds(*ttl))
}

/// Whole milliseconds, as many as Redis and Lua can count.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 53)
}

/// A reply, or the error the server sent in its place.
pub fn reply(value: Value) -> Result<Value> {
    match value {
        Value::ServerError(error) => Err(refusal(&error)),
        value => Ok(value),
    }
}

/// What the server said no with.
fn refusal(error: &ServerError) -> Error {
    let message = error.details().unwrap_or_default().to_owned();
    Error::Redis { code: error.code().to_owned(), message }
}

/// The answers of a batch of `count` steps, each its own.
pub fn answers(value: Value, count: usize) -> Result<Vec<Result<Value>>> {
    match reply(value)? {
        Value::Array(answers) if answers.len() == count => {
            Ok(answers.into_iter().map(reply).collect())
        }
        other => Err(unexpected(&other)),
    }
}

/// The answer to [`Action::Acquire`].
pub fn acquired(value: Value) -> Result<Acquired> {
    match value {
        Value::Int(0) => Ok(Acquired::Taken),
        Value::Int(-1) => Ok(Acquired::NoQueue),
        Value::Int(1) => Ok(Acquired::Held(None)),
        Value::BulkString(token) => Ok(Acquired::Held(Some(number(&token)?))),
        Value::Array(fields) if fields.len() == 5 => Ok(Acquired::Waits(view(fields)?)),
        other => Err(unexpected(&other)),
    }
}

/// The answer to a step that lets go of a lock.
pub fn released(value: Value) -> Result<Released> {
    match value {
        Value::Int(0) => Ok(Released::No),
        Value::Int(1) => Ok(Released::Yes),
        Value::Array(fields) => match fields.as_slice() {
            [Value::BulkString(id), Value::BulkString(token)] => {
                Ok(Released::HandedOn(handed(id, token)?))
            }
            _ => Err(unexpected(&Value::Array(fields))),
        },
        other => Err(unexpected(&other)),
    }
}

/// The answer to [`Action::Beat`].
pub fn beaten(value: Value) -> Result<Beat> {
    match value {
        Value::Int(-1) => Ok(Beat::NoQueue),
        Value::Array(mut fields) if fields.len() == 6 => {
            let known = fields.pop() == Some(Value::Int(1));
            let view = view(fields)?;
            Ok(if known { Beat::Known(view) } else { Beat::Lost(view) })
        }
        other => Err(unexpected(&other)),
    }
}

/// The kind of holder, its time left, its id, its token and the server's time, as `src/lua/queue.lua` has them.
fn view(fields: Vec<Value>) -> Result<View> {
    let [Value::Int(kind), Value::Int(left), Value::BulkString(id), token, Value::Int(at)] =
        fields.as_slice()
    else {
        return Err(unexpected(&Value::Array(fields)));
    };
    let held = match (kind, token) {
        (0, _) => Held::Free,
        (1, Value::BulkString(token)) => Held::Ours(handed(id, token)?),
        (2, _) => Held::Foreign,
        _ => Held::Window,
    };
    let left = u64::try_from(*left).ok().map(Duration::from_millis);
    Ok(View { held, left, at: Duration::from_millis(*at as u64) })
}

fn handed(id: &[u8], token: &[u8]) -> Result<Handed> {
    Ok(Handed { id: String::from_utf8_lossy(id).into(), token: number(token)? })
}

fn number(digits: &[u8]) -> Result<Token> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| unexpected(&Value::BulkString(digits.to_vec())))
}

/// The answer to [`Action::Read`].
pub fn holder(value: Value) -> Result<Option<Holder>> {
    match value {
        Value::Array(fields) if fields.len() == 2 => {
            let mut fields = fields.into_iter().map(text);
            let (id, owner) = (fields.next().flatten(), fields.next().flatten());
            Ok(id.map(|id| Holder { id, owner }))
        }
        other => Err(unexpected(&other)),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}

fn unexpected(value: &Value) -> Error {
    Error::Redis { code: "ERR".into(), message: format!("unexpected reply {value:?}") }
}
