//! The steps as the script takes them, and its answers.

use redis::{Cmd, ServerError, Value};

use crate::backend::{Holder, Text};
use crate::error::{Error, Result};

/// One atomic step, as [`crate::Backend`] describes it, on one key.
#[derive(Debug)]
pub struct Step {
    /// The lock's key.
    pub key: Text,
    /// What to do with it.
    pub action: Action,
}

/// What a step does.
#[derive(Debug)]
pub enum Action {
    /// Take the lock.
    Acquire {
        /// The lock's id.
        id: Text,
        /// Who takes it, in free text.
        owner: Text,
        /// Time to live in milliseconds.
        ttl: u64,
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
    /// Look who holds the lock.
    Read,
}

impl Step {
    /// Whether it is about the lock with this id.
    pub fn concerns(&self, lock: &str) -> bool {
        match &self.action {
            Action::Acquire { id, .. } | Action::Release { id } | Action::Extend { id, .. } => {
                &**id == lock
            }
            Action::Read => false,
        }
    }

    /// How many bytes the step takes in a command, at the most or thereabouts.
    pub fn size(&self) -> usize {
        let texts = match &self.action {
            Action::Acquire { id, owner, .. } => id.len() + owner.len(),
            Action::Release { id } | Action::Extend { id, .. } => id.len(),
            Action::Read => 0,
        };
        self.key.len() + texts + 40
    }

    /// Appends the step's name and what it takes to the arguments of the script.
    pub fn write_to(&self, command: &mut Cmd) {
        match &self.action {
            Action::Acquire { id, owner, ttl } => {
                command.arg("acquire").arg(&**id).arg(&**owner).arg(*ttl);
            }
            Action::Release { id } => {
                command.arg("release").arg(&**id);
            }
            Action::Extend { id, milliseconds } => {
                command.arg("extend").arg(&**id).arg(milliseconds);
            }
            Action::Read => {
                command.arg("read");
            }
        }
    }
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

/// The answer of a step that was asked to do something: did it?
pub fn done(value: Value) -> Result<bool> {
    match value {
        Value::Int(number) => Ok(number == 1),
        other => Err(unexpected(&other)),
    }
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
