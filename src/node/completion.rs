//! How a call ended, and how that crosses into JavaScript: numbers in one array, texts in one
//! string, because making an object per call costs more than the whole round trip.

use std::sync::Arc;
use std::time::Duration;

use super::listing;
use crate::backend::{Holder, Listing, Mode, Store, Token};
use crate::error::{Error, Result};
use crate::holds::{End, Past};
use crate::locker::{Lock, Locker};
use crate::notice::{Event, Notice};

/// The numbers of one completion: the call's number, the outcome, three values, and the
/// lengths of four texts in UTF-16 units, −1 for a text that is absent. `lib/engine.js` reads them.
pub const FIELDS: usize = 9;

/// The end of one call.
pub struct Completion {
    /// The number JavaScript gave the call.
    pub call: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
pub enum Outcome {
    /// A lock was acquired.
    Granted(Grant),
    /// Somebody else holds the lock, or `id` does not (any more).
    No,
    /// Done, to a lock of which this is known.
    Yes(Past),
    /// Who holds the lock.
    Held(Holder),
    /// Nobody holds it.
    Free,
    /// The call failed.
    Failed(Error),
    /// The call was cancelled, and nothing is left of it.
    Cancelled,
    /// How waiting works.
    Mode(Mode),
    /// What the server says of itself.
    Described(Option<String>),
    /// Who holds what and who waits, as [`listing`] writes it.
    Listed(String),
    /// Not the end of a call: a lock that was watched ended.
    Ended(End),
    /// Not the end of a call: the credentials of a provider are needed.
    Ask {
        /// The number JavaScript gave the provider.
        provider: u32,
    },
    /// Not the end of a call: something people should know.
    Notice(Notice),
    /// Not the end of a call: something programs may want to hear of.
    Event(Event),
    /// Not the end of a call: the direct link with that number waits to be attached.
    Opened,
}

/// A lock on its way to JavaScript, which may turn out to be gone.
pub struct Grant {
    /// Where the lock was acquired.
    pub locker: Arc<Locker<Store>>,
    /// Its key.
    pub key: Arc<str>,
    /// Its time to live.
    pub ttl: Duration,
    /// The lock.
    pub lock: Lock,
    /// Those that were taken with it, and their keys.
    pub others: Vec<(Arc<str>, Lock)>,
}

impl Grant {
    /// Nobody is there to take the lock: releases it in the background.
    pub fn give_back(self) {
        super::runtime::handle().spawn(async move {
            self.locker.give_back(self.key, self.lock.id, self.ttl);
            for (key, lock) in self.others {
                self.locker.give_back(key, lock.id, self.ttl);
            }
        });
    }
}

impl Outcome {
    /// Whether a call ends with this.
    pub fn is_end_of_call(&self) -> bool {
        !matches!(
            self,
            Outcome::Ask { .. }
                | Outcome::Ended(_)
                | Outcome::Notice(_)
                | Outcome::Event(_)
                | Outcome::Opened
        )
    }

    /// The outcome of a question how waiting works.
    pub fn of_mode(answer: Result<Mode>) -> Self {
        match answer {
            Ok(mode) => Outcome::Mode(mode),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The outcome of a question who holds what.
    pub fn of_query(answer: Result<Vec<Listing>>) -> Self {
        match answer {
            Ok(listings) => Outcome::Listed(listing::write(&listings)),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The outcome of a question what the server is.
    pub fn of_description(answer: Result<Option<String>>) -> Self {
        match answer {
            Ok(description) => Outcome::Described(description),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The outcome of a call that does something to a lock, unless it is over.
    pub fn of_answer(answer: Result<Option<Past>>) -> Self {
        match answer {
            Ok(Some(past)) => Outcome::Yes(past),
            Ok(None) => Outcome::No,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The outcome of a read.
    pub fn of_read(answer: Result<Option<Holder>>) -> Self {
        match answer {
            Ok(Some(holder)) => Outcome::Held(holder),
            Ok(None) => Outcome::Free,
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Completion {
    /// Writes the numbers into `record` and appends the texts to `texts`.
    pub fn write(self, record: &mut [f64], texts: &mut String) {
        let (outcome, values, written): (u8, [f64; 3], [Option<&str>; 4]);
        match &self.outcome {
            Outcome::Granted(Grant { lock, others, .. }) if !others.is_empty() => {
                let ids = others.iter().fold(lock.id.to_string(), |ids, (_, lock)| ids + &lock.id);
                let values = [1.0, lock.waited.as_millis() as f64, number(lock.token)];
                return put(record, texts, self.call, 1, values, [Some(&ids), None, None, None]);
            }
            Outcome::Granted(Grant { lock, .. }) => {
                outcome = 1;
                // Whole milliseconds, as version 2 counted them.
                values = [lock.attempts as f64, lock.waited.as_millis() as f64, number(lock.token)];
                written = [Some(&lock.id), None, None, None];
            }
            Outcome::No => (outcome, values, written) = (2, [0.0; 3], [None; 4]),
            Outcome::Yes(Past { token, held }) => {
                outcome = 3;
                let held = held.map_or(-1.0, |held| held.as_millis() as f64);
                values = [held, number(*token), 0.0];
                written = [None; 4];
            }
            Outcome::Held(holder) => {
                outcome = 4;
                let left = holder.left.map_or(-1.0, |left| left.as_secs_f64() * 1000.0);
                values = [left, number(holder.token), 0.0];
                written = [Some(&holder.id), holder.owner.as_deref(), None, None];
            }
            Outcome::Free => (outcome, values, written) = (5, [0.0; 3], [None; 4]),
            Outcome::Cancelled => (outcome, values, written) = (6, [0.0; 3], [None; 4]),
            Outcome::Ask { provider } => {
                outcome = 7;
                values = [f64::from(*provider), 0.0, 0.0];
                written = [None; 4];
            }
            Outcome::Opened => (outcome, values, written) = (11, [0.0; 3], [None; 4]),
            Outcome::Ended(end) => {
                outcome = 9;
                let kind = match end {
                    End::Released => 0.0,
                    End::Taken => 1.0,
                    End::Over => 2.0,
                };
                values = [kind, 0.0, 0.0];
                written = [None; 4];
            }
            Outcome::Mode(mode) => {
                outcome = 10;
                values = [0.0; 3];
                written = match mode {
                    Mode::Queue => [None; 4],
                    Mode::Classic(reason) => [Some(reason), None, None, None],
                };
            }
            Outcome::Described(description) => {
                outcome = 13;
                values = [0.0; 3];
                written = [description.as_deref(), None, None, None];
            }
            Outcome::Event(Event::Connection { server, is_connected, reason }) => {
                outcome = 14;
                values = [f64::from(u8::from(*is_connected)), 0.0, 0.0];
                written = [Some(server), reason.as_deref(), None, None];
            }
            Outcome::Listed(listed) => {
                outcome = 13;
                values = [0.0; 3];
                written = [Some(listed), None, None, None];
            }
            Outcome::Notice(notice) => {
                let message = notice.to_string();
                let texts_of_notice =
                    [Some(notice.code()), Some(&*message), Some(notice.advice()), None];
                return put(record, texts, self.call, 12, [0.0; 3], texts_of_notice);
            }
            Outcome::Failed(error) => {
                let message = error.to_string();
                let (detail, reason) = detail(error);
                let texts_of_error = [Some(error.code()), Some(&message), detail, reason];
                let values = match error {
                    Error::NotReplicated { wanted, got, .. } => [*wanted, *got, 0].map(f64::from),
                    _ => [0.0; 3],
                };
                return put(record, texts, self.call, 8, values, texts_of_error);
            }
        }
        put(record, texts, self.call, outcome, values, written);
    }
}

/// A token as JavaScript is told it: zero, if there is none.
fn number(token: Option<Token>) -> f64 {
    token.map_or(0.0, |token| token as f64)
}

/// What an error says beyond its own words: the server's or the system's code, and the reason
/// underneath.
fn detail(error: &Error) -> (Option<&str>, Option<&str>) {
    match error {
        Error::Redis { code, message } | Error::Credentials { code, message } => {
            (Some(code), Some(message))
        }
        Error::Unreachable(cause)
        | Error::Unknown(cause)
        | Error::Untrusted(cause)
        | Error::Refused(cause)
        | Error::Unsupported(cause)
        | Error::NotReplicated { cause, .. } => (cause.code, Some(&cause.message)),
        Error::CrossSlot | Error::Permits(_) | Error::Settings(_) | Error::Closed => (None, None),
    }
}

fn put(
    record: &mut [f64],
    texts: &mut String,
    call: u32,
    outcome: u8,
    values: [f64; 3],
    written: [Option<&str>; 4],
) {
    record[0] = f64::from(call);
    record[1] = f64::from(outcome);
    record[2..5].copy_from_slice(&values);
    for (field, text) in record[5..FIELDS].iter_mut().zip(written) {
        *field = match text {
            None => -1.0,
            Some(text) => {
                texts.push_str(text);
                match text.is_ascii() {
                    true => text.len() as f64,
                    false => text.encode_utf16().count() as f64,
                }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Sharing;

    #[test]
    fn a_completion_is_its_numbers_and_its_texts_with_their_lengths_in_utf_16() {
        let (owner, left) = (Some("Zoë 🔒".into()), Some(Duration::from_millis(5)));
        let sharing = Sharing::Exclusive;
        let holder = Holder { id: "c1".into(), owner, token: Some(9), left, sharing };
        let mut record = [0.0; FIELDS];
        let mut texts = String::from("before");

        Completion { call: 7, outcome: Outcome::Held(holder) }.write(&mut record, &mut texts);

        assert_eq!(record, [7.0, 4.0, 5.0, 9.0, 0.0, 2.0, 6.0, -1.0, -1.0]);
        assert_eq!(texts, "beforec1Zoë 🔒");
    }
}
