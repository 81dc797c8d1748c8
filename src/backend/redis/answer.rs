//! What servers answer, understood.

use std::time::Duration;

use redis::{ServerError, Value};

use crate::backend::{
    Acquired, AcquiredAll, Beat, Handed, Held, Holder, Listing, Queued, Released, Sharing, Text,
    Token, View,
};
use crate::error::{Error, Result};

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

/// The answer to [`super::step::Action::Acquire`].
pub fn acquired(value: Value) -> Result<Acquired> {
    match value {
        Value::Int(0) => Ok(Acquired::Taken),
        Value::Int(-1) => Ok(Acquired::NoQueue),
        Value::Int(1) => Ok(Acquired::Held(None)),
        Value::BulkString(token) => Ok(Acquired::Held(Some(number(&token)?))),
        Value::Array(mut fields) if fields.len() == 5 || fields.len() == 6 => {
            let ticket = match fields.drain(5..).next() {
                Some(Value::BulkString(ticket)) => Some(number(&ticket)?),
                Some(other) => return Err(unexpected(&other)),
                None => None,
            };
            Ok(Acquired::Waits(view(fields)?, ticket))
        }
        other => Err(unexpected(&other)),
    }
}

/// The answer to [`super::step::Action::All`] for so many locks.
pub fn acquired_all(value: Value, count: usize) -> Result<AcquiredAll> {
    match value {
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

/// The answer to [`super::step::Action::Beat`].
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

/// The answer to [`super::step::Action::Read`].
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

/// The answer to [`super::step::Action::List`] about `key`.
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
