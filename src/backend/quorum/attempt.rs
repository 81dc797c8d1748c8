//! One attempt to get a majority, and what becomes of the rest.

use std::sync::Arc;

use super::ballot::{Ballot, Verdict};
use super::member::Member;
use super::round::Round;
use crate::backend::{Acquired, Backend, Text, Waiter};
use crate::error::{Error, Result};

/// An attempt that is under way. Dropping it frees all that it was granted, or will be, unless that was
/// a majority.
pub struct Attempt<B: Backend> {
    members: Arc<[Arc<Member<B>>]>,
    round: Option<Round<B, Acquired>>,
    key: Text,
    waiter: Waiter,
    granted: Vec<usize>,
    /// Who may have granted it without our knowing it, and will not answer any more.
    lost: Vec<usize>,
    is_won: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A majority granted it.
    Won,
    /// Nobody granted it.
    Taken,
    /// Some did, but no majority.
    Part,
}

impl<B: Backend> Attempt<B> {
    /// An attempt by `waiter` to take `key`, about which the members were asked in `round`.
    pub fn new(
        members: Arc<[Arc<Member<B>>]>,
        round: Round<B, Acquired>,
        key: Text,
        waiter: Waiter,
    ) -> Self {
        let (granted, lost) = Default::default();
        Attempt { members, round: Some(round), key, waiter, granted, lost, is_won: false }
    }

    /// Waits until enough members have answered.
    pub async fn outcome(mut self) -> Result<Outcome> {
        let mut ballot = Ballot::new(self.members.len());
        loop {
            match ballot.verdict_on_attempt() {
                Some(Verdict::Yes) => {
                    self.is_won = true;
                    return Ok(Outcome::Won);
                }
                Some(Verdict::No) if self.granted.is_empty() => return Ok(Outcome::Taken),
                Some(Verdict::No) => return Ok(Outcome::Part),
                Some(Verdict::Open) => return Err(ballot.error(ballot.majority())),
                None => {}
            }
            let Some(round) = &mut self.round else { return Err(ballot.error(0)) };
            let Some((number, answer)) = round.next().await else { return Err(ballot.error(0)) };
            match &answer {
                // One with too few replicas has granted it all the same.
                Ok(Acquired::Held(_)) | Err(Error::NotReplicated { .. }) => {
                    self.granted.push(number);
                }
                Err(Error::Unknown(_)) if !round.is_open(number) => self.lost.push(number),
                _ => {}
            }
            let answer = answer.map(|acquired| matches!(acquired, Acquired::Held(_)));
            ballot.count(self.members[number].name(), answer);
        }
    }
}

impl<B: Backend> Drop for Attempt<B> {
    fn drop(&mut self) {
        let Some(round) = self.round.take() else { return };
        if self.is_won {
            // What comes late is ours too.
            return round.leave(|_, _| {});
        }
        let (key, waiter) = (self.key.clone(), self.waiter.clone());
        let free = move |member: &Arc<Member<B>>, lost| {
            member.free(&key, &waiter.id, waiter.ttl, lost);
        };
        self.granted.iter().for_each(|number| free(&self.members[*number], false));
        self.lost.iter().for_each(|number| free(&self.members[*number], true));
        round.leave(move |member, answer| match answer {
            Ok(Acquired::Held(_)) | Err(Error::NotReplicated { .. }) => free(member, false),
            Err(Error::Unknown(_)) => free(member, true),
            _ => {}
        });
    }
}
