//! How calls cross from JavaScript: those of one tick together, as numbers in one array and texts
//! in one string. An own crossing for each would cost more than all the rest of the call on
//! JavaScript's thread.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::runtime::Work;
use crate::backend::{Sharing, Store, Text};
use crate::holds::Renewal;
use crate::locker::{Acquire, Locker};
use crate::schedule::Schedule;

/// The numbers of one call: its own, the operation, the locker's, seven values, and the lengths of
/// two texts in UTF-16 units. `lib/outbox.js` writes them.
pub const FIELDS: usize = 12;

/// The environment whose locks these will be.
#[derive(Debug, Default, Clone)]
pub struct Owner {
    /// Its number in the process.
    pub number: u32,
    /// Gone when it is.
    pub alive: Weak<()>,
}

impl Owner {
    /// A number in the process for a number of the environment's own.
    pub fn group(&self, number: u32) -> u64 {
        u64::from(self.number) << 32 | u64::from(number)
    }
}

/// One call, as JavaScript submitted it.
pub struct Submission {
    /// The number JavaScript gave the call.
    pub call: u32,
    /// The number of the locker it is for.
    pub locker: u32,
    /// What to do.
    pub work: Work,
}

/// Calls that cross to the tokio thread as they came from JavaScript: what is made of them is made where
/// it is used and let go of.
pub struct Submissions {
    /// The numbers of all calls.
    pub numbers: Vec<f64>,
    /// Their texts.
    pub texts: String,
    /// Whose locks they take.
    pub owner: Owner,
    /// The lockers they are for.
    pub lockers: Lockers,
}

/// Lockers by number; `None` for one that was closed.
pub type Lockers = Vec<(u32, Option<Arc<Locker<Store>>>)>;

impl Submissions {
    /// How many calls these are.
    pub fn count(&self) -> usize {
        self.numbers.len() / FIELDS
    }

    /// The calls, each with its locker.
    pub fn calls(&self) -> impl Iterator<Item = (u32, Option<Arc<Locker<Store>>>, Work)> + '_ {
        read(&self.numbers, &self.texts, &self.owner).map(|Submission { call, locker, work }| {
            let of_call = self.lockers.iter().find(|(number, _)| *number == locker);
            (call, of_call.and_then(|(_, locker)| locker.clone()), work)
        })
    }
}

/// The numbers of the lockers that the calls in `numbers` are for.
pub fn lockers(numbers: &[f64]) -> Vec<u32> {
    let mut lockers = Vec::new();
    for record in numbers.chunks_exact(FIELDS) {
        let locker = record[2] as u32;
        if !lockers.contains(&locker) {
            lockers.push(locker);
        }
    }
    lockers
}

/// Reads the calls in `numbers`, whose texts follow each other in `texts`, each with a NUL after
/// it: so no half of a character at the end of one can meet its other half in the next.
pub fn read<'a>(
    numbers: &'a [f64],
    texts: &'a str,
    owner: &'a Owner,
) -> impl Iterator<Item = Submission> + 'a {
    let mut texts = Texts { rest: texts, is_ascii: texts.is_ascii() };
    let mut last_owner = None;
    numbers.chunks_exact(FIELDS).map(move |record| {
        let [call, operation, locker, values @ .., key, other] = record else {
            unreachable!("a chunk has {FIELDS} numbers")
        };
        let key = texts.next(*key);
        let other = texts.next(*other);
        let work = match *operation as u8 {
            operation @ (1 | 10) => {
                let other = same(&mut last_owner, other);
                let lines_up = operation == 10;
                Work::Acquire(Box::new(Acquire { lines_up, ..acquire(key, other, values, owner) }))
            }
            2 => Work::Release { key: key.into(), id: other.into() },
            3 => {
                let milliseconds = values[0];
                Work::Extend { key: key.into(), id: other.into(), milliseconds }
            }
            4 => Work::Read { key: key.into() },
            5 => Work::Mode,
            6 => Work::Describe,
            9 => Work::AcquireAll(keys(key), Box::new(acquire("", other.into(), values, owner))),
            7 => Work::ForceRelease { key: key.into() },
            _ => Work::Query { prefix: key.into() },
        };
        Submission { call: *call as u32, locker: *locker as u32, work }
    })
}

/// The values of an acquire: its ttl, the time between two tries, their number, the end of the call,
/// the longest hold under renewal (zero: no renewal), the group, and how many may hold it at once: zero
/// for any number, −1 for one alone, −2 if it takes it from whoever has it. Those in the middle may be
/// infinite.
fn acquire(key: &str, owner: Text, values: &[f64], holder: &Owner) -> Acquire {
    let retries = values[2].is_finite().then_some(values[2] as u32);
    let timeout = values[3].is_finite().then(|| milliseconds(values[3]));
    let renewal = (values[4] > 0.0).then(|| Renewal {
        max_hold: values[4].is_finite().then(|| milliseconds(values[4])),
        holder: holder.alive.clone(),
    });
    Acquire {
        key: key.into(),
        owner,
        ttl: milliseconds(values[0]),
        schedule: Schedule::new(milliseconds(values[1]), retries, timeout),
        renewal,
        group: holder.group(values[5] as u32),
        sharing: match values[6] >= 0.0 {
            true => Sharing::of(values[6] as u32),
            false => Sharing::Exclusive,
        },
        steal: values[6] < -1.0,
        lines_up: false,
    }
}

/// `text`, or `last` if that is the same: most locks of one tick have one owner.
fn same(last: &mut Option<Text>, text: &str) -> Text {
    match last {
        Some(last) if **last == *text => last.clone(),
        _ => last.insert(text.into()).clone(),
    }
}

/// Texts in one, each with its length in bytes and a colon before it.
fn keys(mut rest: &str) -> Vec<Text> {
    let mut keys = Vec::new();
    while let Some((length, after)) = rest.split_once(':') {
        let end = length.parse().unwrap_or(after.len()).min(after.len());
        let Some((key, others)) = after.split_at_checked(end) else { break };
        keys.push(key.into());
        rest = others;
    }
    keys
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1000.0).unwrap_or(Duration::MAX)
}

/// Texts that follow each other in one.
struct Texts<'a> {
    rest: &'a str,
    is_ascii: bool,
}

impl<'a> Texts<'a> {
    /// The next text, of `units` in UTF-16.
    fn next(&mut self, units: f64) -> &'a str {
        let end = match self.is_ascii {
            true => units as usize,
            false => byte_length(self.rest, units as usize),
        };
        // Rust wrote none of this: whatever it is, no thread may end of it.
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest.get(1..).unwrap_or_default();
        text
    }
}

/// How many bytes the first `units` UTF-16 units of `text` are.
fn byte_length(text: &str, units: usize) -> usize {
    let mut left = units;
    let mut bytes = 0;
    for character in text.chars() {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(character.len_utf16());
        bytes += character.len_utf8();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(call: f64, key: &str, id: &str) -> ([f64; FIELDS], String) {
        let units = |text: &str| text.encode_utf16().count() as f64;
        let mut numbers = [0.0; FIELDS];
        numbers[..3].copy_from_slice(&[call, 2.0, 5.0]);
        numbers[FIELDS - 2..].copy_from_slice(&[units(key), units(id)]);
        (numbers, format!("{key}\0{id}\0"))
    }

    #[test]
    fn several_keys_are_told_apart_whatever_they_are_made_of() {
        let read = keys("4:a:1b0:5:🔒x1:c");

        assert_eq!(read.iter().map(|key| &**key).collect::<Vec<_>>(), ["a:1b", "", "🔒x", "c"]);
    }

    #[test]
    fn calls_are_told_apart_whatever_their_texts_are_made_of() {
        let calls = [("lock:a", "c1"), ("lock:Zoë 🔒", "\0"), ("", "é")];
        let records: Vec<_> =
            calls.iter().zip([1.0, 2.0, 3.0]).map(|((key, id), n)| release(n, key, id)).collect();
        let numbers: Vec<f64> = records.iter().flat_map(|(numbers, _)| *numbers).collect();
        let texts: String = records.iter().map(|(_, texts)| texts.as_str()).collect();

        let owner = Owner::default();
        let read: Vec<_> = read(&numbers, &texts, &owner)
            .map(|submission| match submission.work {
                Work::Release { key, id } => (submission.call, key.to_string(), id.to_string()),
                _ => panic!("a release was submitted"),
            })
            .collect();

        let expected = [(1, "lock:a", "c1"), (2, "lock:Zoë 🔒", "\0"), (3, "", "é")];
        assert_eq!(read, expected.map(|(call, key, id)| (call, key.to_owned(), id.to_owned())));
    }
}
