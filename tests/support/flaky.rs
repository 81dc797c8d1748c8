//! The memory store behind a network that loses things.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{
    Acquired, AcquiredAll, Beat, Listing, Message, Messages, Mode, Released, Text, Waiter,
};
use dist_lock::clock::Moment;
use dist_lock::{Backend, Cause, Error, Holder, Result};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

/// What happens to one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Answered,
    /// It never leaves.
    NotSent,
    /// The same, and nobody ever hears of it.
    NeverSent,
    /// It is carried out, and the answer is lost with the connection.
    ReplyLost,
    /// It is carried out, and the answer never comes.
    Silence,
    /// It is carried out, and the answer takes this long.
    Late(Duration),
    /// It is carried out, and the answer is lost with the connection, which takes this long.
    LostLate(Duration),
    /// The connection is lost, and it is carried out this much later all the same.
    CarriedOutLate(Duration),
    /// The server refuses it.
    Refused,
    /// The server is starting.
    Loading,
}

/// A store whose next steps meet the fates that were set. Cloning is shallow.
#[derive(Debug, Clone)]
pub struct Flaky {
    client: Arc<Client>,
    has_queue: bool,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    by_name: Arc<Mutex<HashMap<&'static str, VecDeque<Fate>>>>,
    always: Arc<Mutex<Option<Fate>>>,
    steps: Arc<Mutex<Vec<String>>>,
    messages: Arc<Mutex<Mail>>,
    work: Arc<Mutex<Work>>,
    settles_until: Arc<Mutex<Option<Moment>>>,
    moved: Arc<Notify>,
    memory: Arc<Memory>,
}

/// How busy the server is.
#[derive(Debug)]
struct Work {
    /// How long it takes for a step.
    each: Duration,
    /// When it is done with what there is.
    done: Instant,
    longest: Duration,
}

/// How messages get to the process.
#[derive(Debug, Default)]
struct Mail {
    is_lost: bool,
    delay: Duration,
    /// How long it takes to subscribe.
    opening: Duration,
    /// The process's end of the subscription, and how often there was one.
    listener: Option<UnboundedSender<Message>>,
    opened: usize,
    refusal: Option<Error>,
    /// It was lost.
    lost: Arc<Notify>,
}

impl Default for Flaky {
    fn default() -> Self {
        Flaky::on(&Arc::default())
    }
}

impl Flaky {
    /// One process's way to a store.
    pub fn on(memory: &Arc<Memory>) -> Self {
        Flaky {
            client: Arc::new(memory.clone().client()),
            has_queue: true,
            fates: Arc::default(),
            by_name: Arc::default(),
            always: Arc::default(),
            steps: Arc::default(),
            messages: Arc::default(),
            work: Arc::new(Mutex::new(Work {
                each: Duration::ZERO,
                done: Instant::now(),
                longest: Duration::ZERO,
            })),
            settles_until: Arc::default(),
            moved: Arc::default(),
            memory: memory.clone(),
        }
    }

    /// The store itself.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The fates of the steps of this name to come.
    pub fn set_for(&self, name: &'static str, fates: impl IntoIterator<Item = Fate>) {
        self.by_name.lock().unwrap().insert(name, fates.into_iter().collect());
    }

    /// The fate of all steps that no other was set for.
    pub fn set_always(&self, fate: Fate) {
        *self.always.lock().unwrap() = Some(fate);
    }

    /// Another server has taken over, and settles for so long.
    pub fn settle(&self, time: Duration) {
        *self.settles_until.lock().unwrap() = Some(Moment::now() + time);
    }

    /// Nothing comes or goes any more, as if the process or its machine were gone.
    pub fn die(&self) {
        self.set_always(Fate::NeverSent);
        self.messages.lock().unwrap().is_lost = true;
    }

    /// Whether the messages to this process get lost from now on.
    pub fn lose_messages(&self, is_lost: bool) {
        self.messages.lock().unwrap().is_lost = is_lost;
    }

    /// How long the messages to this process take from now on.
    pub fn delay_messages(&self, delay: Duration) {
        self.messages.lock().unwrap().delay = delay;
    }

    /// How long it takes to subscribe from now on.
    pub fn delay_subscription(&self, opening: Duration) {
        self.messages.lock().unwrap().opening = opening;
    }

    /// The subscription is lost, which both ends notice.
    pub fn lose_subscription(&self) {
        let mut mail = self.messages.lock().unwrap();
        mail.listener = None;
        mail.lost.notify_waiters();
    }

    /// Another server has taken over, which knows the same.
    pub fn moves(&self) {
        self.moved.notify_one();
    }

    /// Subscribing fails from now on.
    pub fn refuse_messages(&self, error: Error) {
        self.messages.lock().unwrap().refusal = Some(error);
    }

    /// How often the process subscribed.
    pub fn subscriptions(&self) -> usize {
        self.messages.lock().unwrap().opened
    }

    /// From now on the server goes through its steps one by one, and takes so long for each.
    pub fn take_time(&self, each: Duration) {
        self.work.lock().unwrap().each = each;
    }

    /// The longest that a step had to wait for others.
    pub fn longest_wait(&self) -> Duration {
        self.work.lock().unwrap().longest
    }

    /// The step's turn in the server, if it takes time.
    async fn turn(&self) {
        let done = {
            let mut work = self.work.lock().unwrap();
            if work.each.is_zero() {
                return;
            }
            let begins = work.done.max(Instant::now());
            work.longest = work.longest.max(begins - Instant::now());
            work.done = begins + work.each;
            work.done
        };
        sleep_until(done).await;
    }

    /// How many steps of this name there were.
    pub fn count(&self, name: &str) -> usize {
        self.steps().iter().filter(|step| step.starts_with(name)).count()
    }

    /// A store that has no queue.
    pub fn classic() -> Self {
        Flaky { has_queue: false, ..Flaky::default() }
    }

    /// The fates of the steps to come; after them all are answered.
    pub fn set(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.fates.lock().unwrap() = fates.into_iter().collect();
    }

    /// The steps so far: their names with the ids they were for.
    pub fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }

    async fn meet<T>(
        &self,
        name: &str,
        id: &str,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.steps.lock().unwrap().push(format!("{name} {id}"));
        let of_name = self.by_name.lock().unwrap().get_mut(name).and_then(VecDeque::pop_front);
        let next = of_name.or_else(|| self.fates.lock().unwrap().pop_front());
        let fate = next.or(*self.always.lock().unwrap()).unwrap_or(Fate::Answered);
        match fate {
            Fate::NeverSent => return pending().await,
            Fate::NotSent => return Err(Error::Unreachable(Cause::new("refused"))),
            Fate::Refused => return Err(refusal("NOPERM")),
            Fate::Loading => return Err(refusal("LOADING")),
            _ => {}
        }
        self.turn().await;
        let answer = step.await;
        match fate {
            Fate::ReplyLost => Err(Error::Unknown(Cause::new("reset"))),
            Fate::Silence => pending().await,
            Fate::Late(delay) => {
                sleep(delay).await;
                answer
            }
            Fate::LostLate(delay) => {
                sleep(delay).await;
                Err(Error::Unknown(Cause::new("reset")))
            }
            _ => answer,
        }
    }
}

impl Flaky {
    /// Whether the next step of this name is carried out late, and when.
    fn is_late(&self, name: &str) -> Option<Duration> {
        let mut by_name = self.by_name.lock().unwrap();
        let fates = by_name.get_mut(name)?;
        let Some(Fate::CarriedOutLate(delay)) = fates.front() else { return None };
        let delay = *delay;
        fates.pop_front();
        Some(delay)
    }
}

fn later<T>(delay: Duration, step: impl Future<Output = T> + Send + 'static) -> Error {
    tokio::spawn(async move {
        sleep(delay).await;
        step.await;
    });
    Error::Unknown(Cause::new("reset"))
}

fn refusal(code: &str) -> Error {
    Error::Redis { code: code.into(), message: "no".into() }
}

impl Backend for Flaky {
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        let wait = wait && self.has_queue;
        if let Some(delay) = self.is_late("acquire") {
            let (client, key, waiter) = (self.client.clone(), key.clone(), waiter.clone());
            let step = async move { client.acquire(&key, &waiter, wait).await };
            return Err(later(delay, step));
        }
        match self.meet("acquire", &waiter.id, self.client.acquire(key, waiter, wait)).await? {
            Acquired::Taken if !self.has_queue => Ok(Acquired::NoQueue),
            acquired => Ok(acquired),
        }
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        self.meet("release", id, self.client.release(key, id)).await
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        self.meet("extend", id, self.client.extend(key, id, milliseconds)).await
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        let name = if self.has_queue { "abandon" } else { "release" };
        self.meet(name, &waiter.id, self.client.abandon(key, waiter)).await
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        self.meet("beat", &first.id, self.client.beat(key, first, delay)).await
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        self.meet("read", "", self.client.read(key)).await
    }

    async fn steal(&self, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        if let Some(delay) = self.is_late("steal") {
            let (client, key, waiter) = (self.client.clone(), key.clone(), waiter.clone());
            return Err(later(delay, async move { client.steal(&key, &waiter).await }));
        }
        self.meet("steal", &waiter.id, self.client.steal(key, waiter)).await
    }

    async fn acquire_all(&self, wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        let ids: Vec<&str> = wanted.iter().map(|(_, waiter)| &*waiter.id).collect();
        self.meet("all", &ids.join(" "), self.client.acquire_all(wanted)).await
    }

    async fn force(&self, key: &Text) -> Result<Released> {
        self.meet("force", "", self.client.force(key)).await
    }

    async fn names(&self, prefix: &str) -> Result<Vec<Text>> {
        self.client.names(prefix).await
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        self.client.list(keys).await
    }

    fn process(&self) -> &Text {
        self.client.process()
    }

    async fn subscribe(&self) -> Result<Messages> {
        let opening = self.messages.lock().unwrap().opening;
        sleep(opening).await;
        if let Some(refusal) = self.messages.lock().unwrap().refusal.clone() {
            return Err(refusal);
        }
        let mut told = self.client.subscribe().await?;
        let (listener, messages) = unbounded_channel();
        let weak = listener.downgrade();
        let lost = {
            let mut mail = self.messages.lock().unwrap();
            mail.listener = Some(listener);
            mail.opened += 1;
            mail.lost.clone()
        };
        let mail = self.messages.clone();
        tokio::spawn(async move {
            while weak.strong_count() > 0 {
                let message = tokio::select! {
                    message = told.recv() => message,
                    () = lost.notified() => None,
                };
                let Some(message) = message else { return };
                let (is_lost, delay) = {
                    let mail = mail.lock().unwrap();
                    (mail.is_lost, mail.delay)
                };
                if !is_lost {
                    sleep(delay).await;
                    let Some(listener) = weak.upgrade() else { return };
                    let _ = listener.send(message);
                }
            }
        });
        Ok(messages)
    }

    async fn mode(&self) -> Result<Mode> {
        Ok(Mode::Queue)
    }

    async fn moved(&self) {
        self.moved.notified().await;
    }

    fn settles_until(&self) -> Option<Moment> {
        self.settles_until.lock().unwrap().filter(|until| !until.is_over())
    }

    fn is_connected(&self) -> bool {
        true
    }
}
