//! Steps that leave in one command, and what its reply means for each.

use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::answer;
use super::script::{self, Dialect};
use super::step::{Action, Route, Step};
use crate::error::{Cause, Error, Result};

/// The most steps one script carries out: bounds how long other clients wait for it, at about a
/// microsecond a step.
const MOST_IN_A_SCRIPT: usize = 64;

/// A step whose caller waits for its answer.
#[derive(Debug)]
pub struct Pending {
    /// The step.
    pub step: Step,
    /// Where its answer goes.
    pub answer: oneshot::Sender<Result<Value>>,
}

impl Pending {
    fn goes_by_itself(&self) -> bool {
        self.step.goes_by_itself()
    }
}

/// The steps of one command.
#[derive(Debug)]
pub struct Batch {
    steps: Vec<Pending>,
    /// It went as a command that is no script, whose reply is the one answer.
    is_plain: bool,
}

/// What the reply to a batch comes to, besides answers.
#[derive(Debug, Default)]
pub struct Settled {
    /// What must be asked again, with the text of the script.
    pub again: Vec<Batch>,
    /// The server runs no script by its name for this user.
    pub in_full_only: bool,
    /// The primary became a replica: the next step should look for it anew.
    pub is_replica: bool,
}

impl Batch {
    /// As many batches as it takes.
    pub fn of(mut steps: Vec<Pending>) -> Vec<Self> {
        let route = |pending: &Pending| pending.step.route;
        let is_in_cluster = steps.first().is_some_and(|first| route(first).is_some());
        if is_in_cluster {
            // Steps of the same key stay in order.
            steps.sort_by_key(route);
        } else if steps.len() <= MOST_IN_A_SCRIPT
            && (steps.len() == 1 || !steps.iter().any(Pending::goes_by_itself))
        {
            return if steps.is_empty() { Vec::new() } else { vec![Batch::from(steps)] };
        }
        let mut batches: Vec<Batch> = Vec::with_capacity(steps.len().div_ceil(MOST_IN_A_SCRIPT));
        for pending in steps {
            match batches.last_mut() {
                Some(last) if last.takes(&pending) => last.steps.push(pending),
                _ => batches.push(Batch::from(vec![pending])),
            }
        }
        batches
    }

    fn from(steps: Vec<Pending>) -> Self {
        Batch { steps, is_plain: false }
    }

    /// Whether there is room, and the step goes the same way.
    fn takes(&self, pending: &Pending) -> bool {
        // The first tells: what goes by itself has no other beside it.
        let goes_by_itself =
            pending.goes_by_itself() || self.steps.first().is_some_and(Pending::goes_by_itself);
        self.steps.len() < MOST_IN_A_SCRIPT && !goes_by_itself && self.route() == pending.step.route
    }

    fn route(&self) -> Option<Route> {
        self.steps.first().and_then(|pending| pending.step.route)
    }

    /// Whether the server has to be told that it is named for this command alone.
    pub fn is_asking(&self) -> bool {
        self.route().is_some_and(|route| route.asking)
    }

    /// The command, as `dialect` says.
    pub fn command(&mut self, dialect: Dialect<'_>) -> Cmd {
        self.is_plain = true;
        match &*self.steps {
            [Pending { step: Step { action: Action::Command(command), .. }, .. }] => {
                command.clone()
            }
            // Looking who holds it takes no more rights than version 2 needed.
            [Pending { step: Step { key, action: Action::Read, .. }, .. }] if !dialect.queue => {
                script::look(key)
            }
            steps => {
                self.is_plain = false;
                script::command(steps.iter().map(|one| &one.step), dialect)
            }
        }
    }

    /// Hands out the answers in `reply`, which is one to the command that went `in_full` or not.
    /// `moves`: where it comes from a replica, the primary is found elsewhere.
    /// `proven`: why what it grants does not count, if it does not.
    pub fn settle(self, reply: Value, in_full: bool, moves: bool, proven: &Result<()>) -> Settled {
        let mut settled = Settled::default();
        if self.is_plain {
            let answer = answer::reply(reply).map_err(unsupported);
            settled.is_replica = self.hand_out(vec![answer], moves, proven);
            return settled;
        }
        match answer::answers(reply, self.steps.len()) {
            Ok(answers) => settled.is_replica = self.hand_out(answers, moves, proven),
            // It refuses the whole script as it would each step.
            Err(error) if is_of_replica(&error) => {
                let answers = vec![Err(error); self.steps.len()];
                settled.is_replica = self.hand_out(answers, moves, proven);
            }
            // The server knows the script once it was sent in full.
            Err(Error::Redis { code, .. }) if code == "NOSCRIPT" && !in_full => {
                settled.again.push(self);
            }
            // A user with the rights version 2 needed may send scripts in full only.
            Err(Error::Redis { code, message })
                if !in_full
                    && (code == "NOPERM" && message.contains("evalsha")
                        || is_unknown(&message)) =>
            {
                settled.in_full_only = true;
                settled.again.push(self);
            }
            Err(error) if error.is_of_whole_slot() => self.fail(&error),
            // One key the user must not touch is no reason to refuse the others, nor is one that is
            // not there while its slot is being moved.
            Err(Error::Redis { message, .. }) if self.steps.len() > 1 && !is_unknown(&message) => {
                let one_by_one = self.steps.into_iter().map(|one| Batch::from(vec![one]));
                settled.again.extend(one_by_one);
            }
            Err(error) => self.fail(&unsupported(error)),
        }
        // What was given up meanwhile has been undone already: it must not happen after that.
        for batch in &mut settled.again {
            batch.steps.retain(|pending| !pending.answer.is_closed());
        }
        settled.again.retain(|batch| !batch.steps.is_empty());
        settled
    }

    /// Tells all callers the same error.
    pub fn fail(self, error: &Error) {
        fail(self.steps, error);
    }

    /// Whether a step of the lock with this id is among them.
    pub fn concerns(&self, id: &str) -> bool {
        self.steps.iter().any(|pending| pending.step.concerns(id))
    }

    /// Whether somebody waits.
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|pending| pending.step.waits())
    }

    /// Whether a step may let its caller believe in a lock.
    pub fn grants(&self) -> bool {
        self.steps.iter().any(|pending| pending.step.grants())
    }

    /// Says whether the server is a replica.
    fn hand_out(self, answers: Vec<Result<Value>>, moves: bool, proven: &Result<()>) -> bool {
        let mut is_replica = false;
        for (pending, mut answer) in self.steps.into_iter().zip(answers) {
            if let (Ok(value), Err(error)) = (&answer, proven)
                && pending.step.has_granted(value)
            {
                answer = Err(error.clone());
            }
            if let Err(error) = &mut answer
                && is_of_replica(error)
            {
                is_replica = true;
                if moves {
                    // Nothing was done, and the next try goes to another server.
                    *error = Error::Unreachable(Cause::new(error.to_string()));
                }
            }
            // A caller that is gone needs no answer.
            let _ = pending.answer.send(answer);
        }
        is_replica
    }
}

/// A command that every lock takes is not there at all, rather than forbidden to this user.
fn unsupported(error: Error) -> Error {
    match error {
        Error::Redis { message, .. } if is_unknown(&message) => {
            // What follows is our script.
            let (said, _) = message.split_once(", with args").unwrap_or((&message, ""));
            Error::Unsupported(Cause::new(said))
        }
        error => error,
    }
}

/// Whether a server says with this that it does not know a command.
fn is_unknown(message: &str) -> bool {
    message.to_ascii_lowercase().starts_with("unknown command")
}

/// Whether a replica refuses something with this.
fn is_of_replica(error: &Error) -> bool {
    matches!(error.redis_code(), Some("READONLY" | "MASTERDOWN"))
}

/// Tells the callers of `steps` the same error.
pub fn fail(steps: impl IntoIterator<Item = Pending>, error: &Error) {
    for pending in steps {
        let _ = pending.answer.send(Err(error.clone()));
    }
}
