//! Locks held with a majority of several independent stores (Redlock): they survive the loss of any
//! minority of them, without one store knowing of another.
//!
//! As soon as enough of them have answered, that is the answer. What an attempt got that did not get a
//! majority is freed everywhere in the background, also where the answer comes late or never; since that
//! may happen after the next attempt, each has an id of its own. There is no queue, since no store knows
//! who is first, and there are no tokens, since the stores' counters know nothing of each other.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Acquired, AcquiredAll, Backend, Beat, Holder, Listing, Messages, Mode, Released,
    Settings as OfOne, Sharing, Store, Text, Waiter,
};
use crate::error::{Cause, Error, Result};
use crate::id;

mod attempt;
mod ballot;
mod doubts;
mod member;
mod round;

use attempt::{Attempt, Outcome};
use ballot::{Ballot, Verdict};
use member::Member;
use round::Round;

/// Nobody is waited for longer than this share of a ttl: most of the lease must be left.
const SHARE_OF_TTL: u32 = 5;

/// How long a release is tried where it failed, while a majority has confirmed it. The lock's ttl,
/// which ends it too, is not known then.
const RELEASE_FOR: Duration = Duration::from_secs(60);

/// Why waiting is as it is.
const NO_QUEUE: &str = "several independent servers have no queue together";

/// Which stores, and how long to wait for one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The stores, each independent of the others.
    pub members: Vec<OfOne>,
    /// How long one of them is waited for while the others cannot decide.
    pub node_timeout: Duration,
}

/// Locks held with a majority of several stores.
#[derive(Debug)]
pub struct Quorum<B: Backend> {
    members: Arc<[Arc<Member<B>>]>,
    node_timeout: Duration,
    process: Text,
}

impl Quorum<Store> {
    /// The stores that `settings` name; nothing is connected before the first step.
    pub fn open(settings: &Settings) -> Result<Self> {
        let open = |of_one: &OfOne| Ok((of_one.to_string().into(), Store::open(of_one)?));
        let members: Result<Vec<_>> = settings.members.iter().map(open).collect();
        Ok(Quorum::new(members?, settings.node_timeout))
    }
}

impl<B: Backend> Quorum<B> {
    /// Locks held with a majority of `members`, which have names for people to read.
    pub fn new(members: Vec<(Text, B)>, node_timeout: Duration) -> Self {
        let members = members.into_iter().map(|(name, store)| Arc::new(Member::new(name, store)));
        Quorum { members: members.collect(), node_timeout, process: id::process() }
    }

    fn ask<T, F>(&self, limit: Duration, step: impl Fn(Arc<Member<B>>) -> F) -> Round<B, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Round::new(self.members.clone(), self.node_timeout, limit, step)
    }

    /// What a majority says of a lock that each member holds for somebody, or does not. Where that is
    /// known although a member has failed, it is told to `fails`.
    async fn agree<F>(
        &self,
        step: impl Fn(Arc<Member<B>>) -> F,
        fails: impl Fn(&Arc<Member<B>>) + Send + 'static,
    ) -> Result<Released>
    where
        F: Future<Output = Result<Released>> + Send + 'static,
    {
        let mut round = self.ask(self.node_timeout, step);
        let mut ballot = Ballot::new(self.members.len());
        let mut failed = Vec::new();
        while let Some((number, answer)) = round.next().await {
            let member = &self.members[number];
            if answer.is_err() && !round.is_open(number) {
                failed.push(member);
            }
            ballot.count(member.name(), answer.map(|released| released != Released::No));
            let Some(verdict) = ballot.verdict() else { continue };
            let released = match verdict {
                Verdict::Yes => Released::Yes,
                Verdict::No => Released::No,
                // A part of it may have been done.
                Verdict::Open => break,
            };
            failed.into_iter().for_each(&fails);
            round.leave(move |member, answer| {
                if answer.is_err() {
                    fails(member);
                }
            });
            return Ok(released);
        }
        round.leave(|_, _| {});
        Err(ballot.error(1))
    }
}

impl<B: Backend> Backend for Quorum<B> {
    async fn acquire(&self, key: &Text, waiter: &Waiter, _wait: bool) -> Result<Acquired> {
        if waiter.sharing != Sharing::Exclusive {
            return Err(unsupported());
        }
        let limit = self.node_timeout.min(waiter.ttl / SHARE_OF_TTL);
        let round = self.ask(limit, |member| {
            let (key, waiter) = (key.clone(), waiter.clone());
            async move { member.take(&key, &waiter).await }
        });
        let attempt = Attempt::new(self.members.clone(), round, key.clone(), waiter.clone());
        match attempt.outcome().await? {
            Outcome::Won => Ok(Acquired::Held(None)),
            Outcome::Taken => Ok(Acquired::NoQueue),
            Outcome::Part => match self.read(key).await {
                Ok(Some(_)) => Ok(Acquired::NoQueue),
                // Nobody has a majority, as far as can be told.
                Ok(None) | Err(_) => Ok(Acquired::Tie),
            },
        }
    }

    async fn acquire_all(&self, _wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        Err(unsupported())
    }

    async fn steal(&self, _key: &Text, _waiter: &Waiter) -> Result<Acquired> {
        Err(unsupported())
    }

    async fn force(&self, _key: &Text) -> Result<Released> {
        Err(unsupported())
    }

    async fn names(&self, prefix: &str) -> Result<Vec<Text>> {
        let mut round = self.ask(self.node_timeout, |member| {
            let prefix = Text::from(prefix);
            async move { member.ask(member.store().names(&prefix)).await }
        });
        let mut ballot = Ballot::new(self.members.len());
        let mut all = BTreeSet::new();
        while let Some((number, answer)) = round.next().await {
            let answered = answer.as_ref().map(|_| true).map_err(Clone::clone);
            ballot.count(self.members[number].name(), answered);
            all.extend(answer.into_iter().flatten());
        }
        match ballot.verdict() {
            Some(Verdict::Yes) => Ok(all.into_iter().collect()),
            _ => Err(ballot.error(usize::MAX)),
        }
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        let mut listings = Vec::with_capacity(keys.len());
        for key in keys {
            let holders = self.read(key).await?.into_iter().collect();
            listings.push(Listing { key: key.clone(), holders, waiters: Vec::new() });
        }
        Ok(listings)
    }

    fn process(&self) -> &Text {
        &self.process
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        let step = |member: Arc<Member<B>>| {
            let (key, id) = (key.clone(), id.clone());
            async move { member.ask(member.store().release(&key, &id)).await }
        };
        let (key, id) = (key.clone(), id.clone());
        let fails = move |member: &Arc<Member<B>>| member.free(&key, &id, RELEASE_FOR, false);
        self.agree(step, fails).await
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        let step = |member: Arc<Member<B>>| {
            let (key, id) = (key.clone(), id.clone());
            async move { member.extend(&key, &id, milliseconds).await }
        };
        self.agree(step, |_| {}).await
    }

    /// Frees `key` wherever the waiter holds it, in the background.
    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        for member in self.members.iter() {
            member.free(key, &waiter.id, waiter.ttl, false);
        }
        Ok(Released::Yes)
    }

    async fn beat(&self, _key: &Text, _first: &Waiter, _delay: Duration) -> Result<Beat> {
        Ok(Beat::NoQueue)
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        let mut round = self.ask(self.node_timeout, |member| {
            let key = key.clone();
            async move { member.ask(member.store().read(&key)).await }
        });
        let mut ballot = Ballot::new(self.members.len());
        // Those that some member has named, and how many have.
        let mut holders: Vec<(Holder, usize)> = Vec::new();
        while let Some((number, answer)) = round.next().await {
            let is_held = answer.as_ref().map(Option::is_some).map_err(Clone::clone);
            ballot.count(self.members[number].name(), is_held);
            if let Ok(Some(holder)) = answer {
                let known = holders.iter_mut().find(|(known, _)| known.id == holder.id);
                match known {
                    Some((_, count)) => *count += 1,
                    None => holders.push((holder, 1)),
                }
            }
            holders.sort_by_key(|(_, count)| Reverse(*count));
            let most = holders.first().map_or(0, |(_, count)| *count);
            let said_nothing = ballot.pending() + ballot.failed();
            let held = match () {
                () if most >= ballot.majority() => holders.into_iter().next(),
                () if most + said_nothing < ballot.majority() => None,
                () => continue,
            };
            round.leave(|_, _| {});
            // Their counters know nothing of each other.
            return Ok(held.map(|(holder, _)| Holder { token: None, ..holder }));
        }
        round.leave(|_, _| {});
        Err(ballot.error(usize::MAX))
    }

    async fn subscribe(&self) -> Result<Messages> {
        Err(Error::Settings(NO_QUEUE.into()))
    }

    async fn mode(&self) -> Result<Mode> {
        let mut round =
            self.ask(
                self.node_timeout,
                |member| async move { member.ask(member.store().mode()).await },
            );
        let mut ballot = Ballot::new(self.members.len());
        while let Some((number, answer)) = round.next().await {
            ballot.count(self.members[number].name(), answer.map(|_| true));
            match ballot.verdict() {
                Some(Verdict::Yes) => {
                    round.leave(|_, _| {});
                    return Ok(Mode::Classic(NO_QUEUE.into()));
                }
                Some(_) => break,
                None => {}
            }
        }
        round.leave(|_, _| {});
        Err(ballot.error(usize::MAX))
    }

    fn is_connected(&self) -> bool {
        let connected = self.members.iter().filter(|member| member.store().is_connected());
        connected.count() >= ballot::majority(self.members.len())
    }

    fn undoes_attempts(&self) -> bool {
        true
    }
}

fn unsupported() -> Error {
    Error::Unsupported(Cause::new(NO_QUEUE))
}
