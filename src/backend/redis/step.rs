//! The steps as commands, and their replies as answers.

use redis::{Cmd, ServerError, Value};

use super::script::Script;
use crate::backend::Holder;
use crate::error::{Error, Result};

/// One atomic step, as [`crate::Backend`] describes it.
#[derive(Debug)]
pub enum Step {
    /// Take a key.
    Acquire {
        /// The lock's key.
        key: String,
        /// The lock's id.
        id: String,
        /// Who takes it, in free text.
        owner: String,
        /// Time to live in milliseconds.
        ttl: u64,
    },
    /// Free a key.
    Release {
        /// The lock's key.
        key: String,
        /// The lock's id.
        id: String,
    },
    /// Change the remaining time of a key.
    Extend {
        /// The lock's key.
        key: String,
        /// The lock's id.
        id: String,
        /// The new time, in digits: Redis decides which numbers it takes.
        milliseconds: String,
    },
    /// Look who holds a key.
    Read {
        /// The lock's key.
        key: String,
    },
}

impl Step {
    /// The command that carries the step out. `in_full`: with the text of its script.
    pub fn command(&self, in_full: bool) -> Cmd {
        match self {
            Step::Acquire { key, id, owner, ttl } => {
                let mut command = Script::acquire().on(key, in_full);
                command.arg(id).arg(owner).arg(*ttl);
                command
            }
            Step::Release { key, id } => {
                let mut command = Script::release().on(key, in_full);
                command.arg(id);
                command
            }
            Step::Extend { key, id, milliseconds } => {
                let mut command = Script::extend().on(key, in_full);
                command.arg(id).arg(milliseconds);
                command
            }
            Step::Read { key } => {
                let mut command = redis::cmd("HMGET");
                command.arg(key).arg("id").arg("owner");
                command
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
pub fn refusal(error: &ServerError) -> Error {
    let message = error.details().unwrap_or_default().to_owned();
    Error::Redis { code: error.code().to_owned(), message }
}

/// The answer of a script: did it do what it was asked to?
pub fn done(value: Value) -> Result<bool> {
    match value {
        Value::Int(number) => Ok(number == 1),
        other => Err(unexpected(&other)),
    }
}

/// The answer to [`Step::Read`].
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
