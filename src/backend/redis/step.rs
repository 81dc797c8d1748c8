//! The steps as the script takes them, and its answers.

use std::time::Duration;

use redis::{Cmd, ServerError, Value};

use crate::backend::{
    Acquired, AcquiredAll, Beat, Handed, Held, Holder, Listing, Queued, Released, Sharing, Text,
    Token, View, Waiter,
};
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
    /// Take the lock from whoever holds it.
    Steal {
        /// Who asks.
        waiter: Waiter,
    },
    /// Take the lock from whoever holds it, for the first who waits.
    Force,
    /// Look who holds the lock.
    Read,
    /// Look who holds the lock and who waits.
    List,
    /// Not a step, but a command of its own.
    Alone(Cmd),
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
            Action::Force | Action::Read | Action::List | Action::Alone(_) => false,
        }
    }

    /// Whether it may let its caller believe in a lock.
    pub fn grants(&self) -> bool {
        match &self.action {
            Action::Acquire { .. } | Action::Steal { .. } => true,
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
            Action::Force | Action::Read | Action::List | Action::Alone(_) => 0,
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

    /// Appends what a run of `count` steps like this one has in common to the arguments of the script.
    pub fn write_head_to(&self, count: usize, command: &mut Cmd) {
        command.arg(self.name()).arg(count);
        if let Action::Acquire { waiter, wait } = &self.action {
            write_terms(command.arg(&*waiter.owner), waiter).arg(u8::from(*wait));
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
            Action::Force => {
                command.arg("").arg("").arg(0);
            }
            Action::Beat { first, delay } => {
                write_waiter(command, first).arg(milliseconds(*delay).max(1));
            }
            Action::Read | Action::List | Action::Alone(_) => {}
        }
    }

    /// Appends all of it, as the script takes it where there is no queue.
    pub fn write_classic_to(&self, command: &mut Cmd) {
        match &self.action {
            Action::Acquire { waiter, .. } if waiter.sharing == Sharing::Exclusive => {
                write_waiter(command.arg("acquire"), waiter);
            }
            Action::Acquire { .. } | Action::Steal { .. } | Action::Force | Action::List => {
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
            Action::Read | Action::Alone(_) => {
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
            Action::List => "list",
            Action::Release { .. } => "release",
            Action::Extend { .. } => "extend",
            Action::Abandon { .. } => "abandon",
            Action::Beat { .. } => "beat",
            Action::Read | Action::Alone(_) => "read",
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
    match error.code() {
        "PERMITS" => Error::Permits(Sharing::of(message.parse().unwrap_or_default())),
        code => Error::Redis { code: code.to_owned(), message },
    }
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

/// The reply to [`super::script::all`] for so many locks.
pub fn acquired_all(value: Value, count: usize) -> Result<AcquiredAll> {
    match reply(value)? {
        Value::BulkString(token) => Ok(AcquiredAll::Held(number(&token)?)),
        Value::Int(taken) => match usize::try_from(-1 - taken) {
            Ok(number) if number < count => Ok(AcquiredAll::Taken(number)),
            _ => Err(unexpected(&Value::Int(taken))),
        },
        other => Err(unexpected(&other)),
    }
}

/// The answer to a step that lets go of a lock.
pub fn released(value: Value) -> Result<Released> {
    match value {
        Value::Int(0) => Ok(Released::No),
        Value::Int(1) => Ok(Released::Yes),
        Value::Array(fields) => {
            let pairs = fields.chunks(2).map(|pair| match pair {
                [Value::BulkString(id), Value::BulkString(token)] => handed(id, token),
                _ => Err(unexpected(&Value::Array(pair.to_vec()))),
            });
            Ok(Released::HandedOn(pairs.collect::<Result<_>>()?))
        }
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
        (4, _) => Held::Shared,
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
        Value::Array(fields) if fields.len() == 2 || fields.len() == 5 => Ok(holder_of(fields)),
        other => Err(unexpected(&other)),
    }
}

/// The id, the owner, and where there is a queue the token, the time left and the capacity.
fn holder_of(fields: Vec<Value>) -> Option<Holder> {
    let mut fields = fields.into_iter();
    let id = fields.next().and_then(text)?;
    let owner = fields.next().and_then(text);
    let token = fields.next().and_then(text).and_then(|token| token.parse().ok());
    let left = match fields.next() {
        Some(Value::Int(left)) => u64::try_from(left).ok().map(Duration::from_millis),
        _ => None,
    };
    Some(Holder { id, owner, token, left, sharing: sharing(fields.next()) })
}

fn sharing(capacity: Option<Value>) -> Sharing {
    let capacity = capacity.and_then(text).and_then(|capacity| capacity.parse().ok());
    capacity.map_or(Sharing::Exclusive, Sharing::of)
}

/// The answer to [`Action::List`] about `key`.
pub fn listing(key: Text, value: Value) -> Result<Listing> {
    let Value::Array(parts) = value else { return Err(unexpected(&value)) };
    let Ok([Value::Array(holders), Value::Array(waiters)]) = <[Value; 2]>::try_from(parts) else {
        return Err(unexpected(&Value::Nil));
    };
    let row = |value| match value {
        Value::Array(fields) => fields,
        _ => Vec::new(),
    };
    let holders = holders.into_iter().map(row).filter_map(holder_of).collect();
    let waiters = waiters.into_iter().map(row).filter_map(queued).collect();
    Ok(Listing { key, holders, waiters })
}

/// The id, the owner, the capacity and the time waited.
fn queued(fields: Vec<Value>) -> Option<Queued> {
    let mut fields = fields.into_iter();
    let id = fields.next().and_then(text)?;
    let owner = fields.next().and_then(text)?;
    let sharing = sharing(fields.next());
    let Some(Value::Int(waited)) = fields.next() else { return None };
    let waited = Duration::from_millis(u64::try_from(waited).unwrap_or_default());
    Some(Queued { id, owner, sharing, waited })
}

/// The next cursor and the keys in a reply to `SCAN`.
pub fn scanned(value: Value) -> Result<(Vec<u8>, Vec<String>)> {
    let Value::Array(parts) = value else { return Err(unexpected(&value)) };
    let Ok([Value::BulkString(cursor), Value::Array(keys)]) = <[Value; 2]>::try_from(parts) else {
        return Err(unexpected(&Value::Nil));
    };
    let keys = keys.into_iter().filter_map(|key| match key {
        // What is no UTF-8 is none of ours.
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    });
    Ok((cursor, keys.collect()))
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
