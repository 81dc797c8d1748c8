//! Counting what the members said.

use crate::backend::Text;
use crate::error::{Cause, Error, Result};

/// The answers to one question so far.
#[derive(Debug)]
pub struct Ballot {
    size: usize,
    yes: usize,
    no: usize,
    failures: Vec<(Text, Error)>,
}

/// What they come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A majority said yes.
    Yes,
    /// Whatever the others would have said, it is no majority.
    No,
    /// Neither will be known: too many have failed.
    Open,
}

impl Ballot {
    /// Nobody of `size` members has answered.
    pub fn new(size: usize) -> Self {
        Ballot { size, yes: 0, no: 0, failures: Vec::new() }
    }

    /// One has.
    pub fn count(&mut self, name: &Text, answer: Result<bool>) {
        match answer {
            Ok(true) => self.yes += 1,
            Ok(false) => self.no += 1,
            Err(error) => self.failures.push((name.clone(), error)),
        }
    }

    /// How many are a majority.
    pub fn majority(&self) -> usize {
        majority(self.size)
    }

    /// How many have failed.
    pub fn failed(&self) -> usize {
        self.failures.len()
    }

    /// How many have not answered and not failed.
    pub fn pending(&self) -> usize {
        self.size - self.yes - self.no - self.failures.len()
    }

    /// What the answers come to about something that is so in a majority, or is not. `None`: the next
    /// answer may tell.
    pub fn verdict(&self) -> Option<Verdict> {
        let (may_be_yes, may_be_no) = (self.yes + self.pending(), self.no + self.pending());
        let too_few = self.size - self.majority();
        match () {
            () if self.yes >= self.majority() => Some(Verdict::Yes),
            () if self.no > too_few => Some(Verdict::No),
            () if may_be_yes >= self.majority() || may_be_no > too_few => None,
            () => Some(Verdict::Open),
        }
    }

    /// What the answers come to about an attempt to get a majority: it has failed too if those that
    /// answered are a majority, although not all of them said yes.
    pub fn verdict_on_attempt(&self) -> Option<Verdict> {
        let is_decided = self.yes + self.pending() < self.majority();
        match self.verdict() {
            None | Some(Verdict::Open) if is_decided => {
                let answered = self.yes + self.no;
                if answered >= self.majority() {
                    return Some(Verdict::No);
                }
                (answered + self.pending() < self.majority()).then_some(Verdict::Open)
            }
            verdict => verdict,
        }
    }

    /// Why nothing is known. `enough`: from as many members on that said yes, or may have done so or do
    /// so yet without our knowing it, the outcome is unknown.
    pub fn error(&self, enough: usize) -> Error {
        let errors = || self.failures.iter().map(|(_, error)| error);
        let is_unknown = |error: &&Error| matches!(error, Error::Unknown(_));
        let is_final = |error: &&Error| !error.is_transient();
        let is_said = |error: &&Error| error.is_transient() && error.redis_code().is_some();
        let too_few = self.size - self.majority();
        // What leaves no majority of others is what the error is.
        if errors().filter(is_final).count() > too_few
            && let Some(error) = errors().find(is_final)
        {
            return self.explained(error);
        }
        if errors().filter(is_said).count() > too_few
            && let Some(error) = errors().find(is_said)
        {
            return self.explained(error);
        }
        let cause =
            Cause { code: errors().find_map(|error| cause(error)?.code), message: self.listed() };
        let done_perhaps = self.yes + self.pending() + errors().filter(is_unknown).count();
        match done_perhaps >= enough {
            true => Error::Unknown(cause),
            false => Error::Unreachable(cause),
        }
    }

    /// An error of one, with those of the others.
    fn explained(&self, error: &Error) -> Error {
        let with_others = |message: &str| format!("{message} ({})", self.listed());
        match error.clone() {
            Error::Redis { code, message } => Error::Redis { code, message: with_others(&message) },
            Error::Credentials { code, message } => {
                Error::Credentials { code, message: with_others(&message) }
            }
            Error::Untrusted(cause) => Error::Untrusted(Cause { message: self.listed(), ..cause }),
            Error::Refused(cause) => Error::Refused(Cause { message: self.listed(), ..cause }),
            Error::Unsupported(cause) => {
                Error::Unsupported(Cause { message: self.listed(), ..cause })
            }
            Error::NotReplicated { wanted, got, cause } => {
                let cause = Cause { message: self.listed(), ..cause };
                Error::NotReplicated { wanted, got, cause }
            }
            error => error,
        }
    }

    /// What has failed, one after the other.
    fn listed(&self) -> String {
        let failed: Vec<_> = self
            .failures
            .iter()
            .map(|(name, error)| match cause(error) {
                Some(cause) => format!("{name}: {cause}"),
                None => format!("{name}: {error}"),
            })
            .collect();
        let count = failed.len();
        format!("{count} of {} servers failed: {}", self.size, failed.join("; "))
    }
}

/// How many of `size` are a majority.
pub fn majority(size: usize) -> usize {
    size / 2 + 1
}

fn cause(error: &Error) -> Option<&Cause> {
    match error {
        Error::Unreachable(cause)
        | Error::Unknown(cause)
        | Error::Untrusted(cause)
        | Error::Refused(cause)
        | Error::Unsupported(cause)
        | Error::NotReplicated { cause, .. } => Some(cause),
        Error::Redis { .. }
        | Error::Credentials { .. }
        | Error::CrossSlot
        | Error::Permits(_)
        | Error::Closed
        | Error::Settings(_) => None,
    }
}
