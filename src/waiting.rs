//! The waiters of this process: one beat per key for all of them, and grants find their waiter.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::backend::{
    Acquired, Backend, Beat, Handed, Held, Message, Messages, Released, Sharing, Text, Ticket,
    View, Waiter,
};
use crate::claim;
use crate::clock::{Moment, Reading};
use crate::error::{Cause, Error, Result};
use crate::holds::Holds;
use crate::lease::Grant;
use crate::mutex::lock;
use crate::patience::{FIRST_PAUSE, LONGEST_PAUSE, Trouble};
use crate::rhythm::{is_passing, pause_until};
use crate::subscription::{State, Subscription};
use crate::waiters::{Early, Entry, News, Waiters};

/// A store in this process knows no trouble to be patient with, but takes its turn.
const LEAST: Duration = Duration::from_secs(1);

/// The waiters of this process in one store, and the steps that may hand one of them the lock.
#[derive(Debug)]
pub struct Waiting<B: Backend> {
    backend: Arc<B>,
    patience: Duration,
    waiters: Mutex<Waiters>,
    holds: Arc<Holds>,
    /// Whether messages reach this process.
    pub subscription: Subscription,
    /// Something is due earlier than before.
    changed: Notify,
    trouble: Mutex<Option<Trouble>>,
    /// The store's clock, as it was read last.
    clock: Mutex<Option<Reading>>,
}

impl<B: Backend> Waiting<B> {
    /// Waiters in `backend`; a wait fails when it had no answer for as long as `patience`.
    pub fn new(backend: B, holds: Arc<Holds>, patience: Duration) -> Self {
        Waiting {
            holds,
            backend: Arc::new(backend),
            patience,
            waiters: Mutex::default(),
            subscription: Subscription::default(),
            changed: Notify::new(),
            trouble: Mutex::default(),
            clock: Mutex::default(),
        }
    }

    /// The store.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// [`Backend::acquire`], sent now; hands on what it granted to another waiter.
    pub async fn acquire(
        &self,
        key: &Text,
        waiter: &Waiter,
        wait: bool,
        sent: Moment,
    ) -> Result<Acquired> {
        if wait {
            self.waiters().expect(&waiter.id);
        }
        let answer = self.backend.acquire(key, waiter, wait).await?;
        if let Acquired::Waits(view, _) = &answer {
            self.seen(view, sent);
        }
        Ok(answer)
    }

    /// [`Backend::release`]; hands on what it granted to another waiter.
    pub async fn release(self: &Arc<Self>, key: &Text, id: &Text) -> Result<bool> {
        let sent = Moment::now();
        Ok(self.handed_on(key, self.backend.release(key, id).await?, sent))
    }

    /// [`Backend::extend`], sent now; hands on what it granted to another waiter.
    pub async fn extend(
        self: &Arc<Self>,
        key: &Text,
        id: &Text,
        milliseconds: f64,
        sent: Moment,
    ) -> Result<bool> {
        Ok(self.handed_on(key, self.backend.extend(key, id, milliseconds).await?, sent))
    }

    /// [`Backend::abandon`]; hands on what it granted to another waiter.
    pub async fn abandon(self: &Arc<Self>, key: &Text, waiter: &Waiter) -> Result<bool> {
        let sent = Moment::now();
        let answer = self.backend.abandon(key, waiter).await?;
        self.forget(&waiter.id);
        Ok(self.handed_on(key, answer, sent))
    }

    /// A waiter has what it waited for, or gave up: what is granted under its id from now on is given
    /// back, unless it is held.
    pub fn forget(&self, id: &Text) {
        self.waiters().forget(id);
    }

    /// [`Backend::force`]; hands on what it granted to another waiter.
    pub async fn force(self: &Arc<Self>, key: &Text) -> Result<bool> {
        let sent = Moment::now();
        Ok(self.handed_on(key, self.backend.force(key).await?, sent))
    }

    /// Whether a waiter may join the queue now.
    pub fn is_subscribed(&self) -> bool {
        self.subscription.is_ready()
    }

    /// Sees to it that messages reach this process.
    pub fn listen(&self) {
        if self.subscription.want() {
            self.changed.notify_one();
        }
    }

    /// Waits until it is known whether messages reach this process. `false`: not for now, or never;
    /// it goes on being tried in the background.
    pub async fn subscribed(&self) -> bool {
        self.listen();
        let known = self.subscription.known();
        timeout(self.patience.max(LEAST), known).await.unwrap_or(false)
    }

    /// The error of a call that had no answer for as long as it `waited`; `asked`: something may
    /// have been carried out for it.
    pub fn silence(&self, asked: bool, waited: Duration) -> Error {
        let cause = Cause::timeout("no answer", waited);
        match asked && self.backend.is_connected() {
            true => Error::Unknown(cause),
            false => Error::Unreachable(cause),
        }
    }

    /// Why nothing is to be granted now, if that is so.
    pub fn settling(&self) -> Option<Error> {
        self.backend.settles_until().map(|until| Error::settling(until.left()))
    }

    /// What keeps the waiters from being told anything.
    pub fn trouble(&self) -> Option<Error> {
        let trouble = lock(&self.trouble).clone().map(Trouble::into_error_of_another);
        trouble.or_else(|| self.subscription.trouble())
    }

    /// Why messages do not reach this process, if it is known that they do not.
    pub fn refusal(&self) -> Option<Error> {
        self.subscription.refusal()
    }

    /// Takes a place among the waiters of this process for `key`, with what the queue said when it
    /// was joined. It would be asked every `delay` if it told nobody when the lock is free.
    pub fn wait(
        self: &Arc<Self>,
        key: &Text,
        waiter: &Waiter,
        view: &View,
        ticket: Ticket,
        joined: Moment,
        delay: Duration,
    ) -> Place<B> {
        let (tell, news) = oneshot::channel();
        let entry = Entry::new(waiter, delay, tell);
        let next = entry.rhythm().next_beat(view);
        let clock = Reading { sent: joined, at: view.at };
        let is_sooner = self.waiters().join(key, ticket, entry, &clock, next);
        if is_sooner {
            self.changed.notify_one();
        }
        Place { waiting: self.clone(), id: waiter.id.clone(), news }
    }

    /// Looks after the waiters for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        let mut beats = FuturesUnordered::new();
        let mut subscribing = FuturesUnordered::new();
        let mut messages: Option<Messages> = None;
        let mut pause = Duration::ZERO;
        loop {
            if self.subscription.is_wanted() && messages.is_none() && subscribing.is_empty() {
                subscribing.push(self.subscribe_after(pause));
                pause = (2 * pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            }
            for (key, first, delay) in self.waiters().take_due() {
                beats.push(self.beat(key, first, delay));
            }
            let next = self.waiters().next_due();
            select! {
                message = next_of(&mut messages) => match message {
                    Some(message) => self.hear(message),
                    None => {
                        messages = None;
                        // The next may be another server, with a clock of its own.
                        *lock(&self.clock) = None;
                        // The server may be gone: find out.
                        self.waiters().all_due();
                        self.subscription.set(State::Wanted(None));
                    }
                },
                Some((key, first, sent, answer)) = beats.next() => {
                    self.answered(&key, &first, sent, answer);
                }
                Some(answer) = subscribing.next() => match answer {
                    Ok(opened) => {
                        pause = Duration::ZERO;
                        messages = Some(opened);
                        self.subscription.set(State::Ready);
                        // What was told meanwhile is lost.
                        self.waiters().all_due();
                        self.subscription.may_have_missed();
                    }
                    Err(error) if error.is_transient() => {
                        self.subscription.set(State::Wanted(Some(error)));
                    }
                    Err(error) => {
                        let refused = State::Refused(error, Instant::now());
                        self.subscription.set(refused);
                        self.waiters().tell_all(|| News::NoQueue);
                    }
                },
                () = pause_until(next) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn subscribe_after(&self, pause: Duration) -> Result<Messages> {
        sleep(pause).await;
        self.backend.subscribe().await
    }

    async fn beat(
        &self,
        key: Text,
        first: Waiter,
        delay: Duration,
    ) -> (Text, Waiter, Moment, Result<Beat>) {
        let sent = Moment::now();
        let answer = self.backend.beat(&key, &first, delay).await;
        (key, first, sent, answer)
    }

    fn hear(self: &Arc<Self>, message: Message) {
        let clock = *lock(&self.clock);
        match message {
            Message::Granted(key, Handed { id, token }, at) => {
                let how = Early::Told(token, at);
                let is_known = self.waiters().granted_early(&id, how, clock.as_ref());
                self.give_back_unless(is_known, &key, id);
            }
            Message::Named(key, id) => {
                let is_known = self.waiters().named(&id);
                self.give_back_unless(is_known, &key, id);
            }
            Message::Look(key) => self.waiters().due_now(&key),
            Message::Missed => {
                self.waiters().all_due();
                self.subscription.may_have_missed();
            }
            Message::Lost(lock) => {
                // Perhaps it does not know that it had it.
                self.waiters().asks_again(&lock.id);
                self.holds.taken_away(&lock);
            }
        }
    }

    /// A store that has forgotten what was done last, as after a failover, may give the lock to one of us
    /// who waits no more. Nobody would release it.
    fn give_back_unless(self: &Arc<Self>, is_known: bool, key: &Text, id: Text) {
        if !is_known && !self.holds.contains(&id) {
            let waiter = Waiter::only(id, self.patience.max(LEAST));
            claim::spawn_undo(self.clone(), key.clone(), waiter, false);
        }
    }

    /// What came of a beat for `key` whose first waiter was `first`.
    fn answered(&self, key: &Text, first: &Waiter, sent: Moment, answer: Result<Beat>) {
        let (view, is_known) = match answer {
            Ok(Beat::Known(view)) => (view, true),
            Ok(Beat::Lost(view)) => (view, false),
            Ok(Beat::NoQueue) => return self.waiters().tell_line(key, || News::NoQueue),
            Err(error) => return self.failed(key, error),
        };
        self.seen(&view, sent);
        let mut waiters = self.waiters();
        if !is_known && waiters.has(&first.id) {
            return waiters.tell_line(key, || News::Again);
        }
        let Some(rhythm) = waiters.rhythm(key) else { return };
        // It may be one of several that were given shares, and a beat tells of one.
        let is_one_of_several = matches!(&view.held, Held::Ours(handed) if handed.id == first.id)
            && first.sharing != Sharing::Exclusive;
        let next = match is_one_of_several {
            true => Duration::ZERO,
            false => rhythm.next_beat(&view),
        };
        waiters.beaten(key, next);
    }

    fn failed(&self, key: &Text, error: Error) {
        let mut waiters = self.waiters();
        if !is_passing(&error) {
            return waiters.tell_line(key, || News::Failed(error.clone()));
        }
        let mut trouble = lock(&self.trouble);
        let since = trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
        let now_in_trouble = Trouble { since, error };
        *trouble = Some(now_in_trouble.clone());
        waiters.tell_impatient(key, self.patience, &now_in_trouble);
        // As long again as it has lasted: few tries in a long outage, many in a short one.
        let pause = since.elapsed().clamp(FIRST_PAUSE, LONGEST_PAUSE);
        waiters.beaten(key, pause);
    }

    /// A step's answer says who holds the lock; perhaps one of ours, for as long as is left.
    fn seen(&self, view: &View, sent: Moment) {
        if lock(&self.trouble).take().is_some() {
            // The server is back: it may have told anything meanwhile.
            self.waiters().all_due();
            self.changed.notify_one();
        }
        *lock(&self.clock) = Some(Reading { sent, at: view.at });
        if let Held::Ours(Handed { id, token }) = &view.held
            && let Some(left) = view.left
        {
            self.waiters().granted(id, Grant { token: Some(*token), since: sent, ttl: left });
        }
    }

    fn handed_on(self: &Arc<Self>, key: &Text, released: Released, sent: Moment) -> bool {
        match released {
            Released::No => false,
            Released::Yes => true,
            Released::HandedOn(handed) => {
                let clock = Reading { sent, at: Duration::ZERO };
                for Handed { id, token } in handed {
                    let how = Early::Here(token, sent);
                    let is_known = self.waiters().granted_early(&id, how, Some(&clock));
                    self.give_back_unless(is_known, key, id);
                }
                true
            }
        }
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        lock(&self.waiters)
    }
}

/// A place among the waiters of this process; dropping it leaves.
#[derive(Debug)]
pub struct Place<B: Backend> {
    waiting: Arc<Waiting<B>>,
    id: Text,
    news: oneshot::Receiver<News>,
}

impl<B: Backend> Place<B> {
    /// Waits until something concerns this waiter.
    pub async fn news(&mut self) -> News {
        // The sender is dropped only with this place.
        (&mut self.news).await.unwrap_or(News::Again)
    }
}

impl<B: Backend> Drop for Place<B> {
    fn drop(&mut self) {
        self.waiting.waiters().leave(&self.id);
    }
}

async fn next_of(messages: &mut Option<Messages>) -> Option<Message> {
    match messages {
        Some(messages) => messages.recv().await,
        None => std::future::pending().await,
    }
}
