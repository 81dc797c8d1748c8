//! One memory store and the network between it and several processes, which loses, delays and
//! repeats what it carries. Everything the store does goes past an [`Audit`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{
    Acquired, AcquiredAll, Beat, Handed, Held, Listing, Message, Messages, Mode, Released, Sharing,
    Text, Token, View, Waiter,
};
use dist_lock::{Backend, Cause, Error, Holder, Result};
use futures_util::FutureExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::chance::Chance;

/// A step that was not answered for this long failed.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// How bad the network is. Shares are per mille.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The longest time one way.
    pub delay: Duration,
    /// The longest time between an answer and the task that waited for it.
    pub wake_up: Duration,
    /// Steps that find no connection.
    pub refused: u64,
    /// Steps in which the connection breaks, with all that are under way.
    pub broken: u64,
    /// Steps nobody hears of again.
    pub silent: u64,
    /// Messages that get lost.
    pub lost_messages: u64,
    /// Messages that come late, and how late at the most.
    pub late_messages: u64,
    pub message_delay: Duration,
    /// Messages that come twice.
    pub doubled_messages: u64,
}

impl Weather {
    /// Nothing is lost.
    pub const FAIR: Weather = Weather {
        delay: Duration::from_millis(2),
        wake_up: Duration::ZERO,
        refused: 0,
        broken: 0,
        silent: 0,
        lost_messages: 0,
        late_messages: 0,
        message_delay: Duration::ZERO,
        doubled_messages: 0,
    };
}

/// A lie of the network, for the tests of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Who asks is told that it holds the lock.
    EverybodyHolds,
    /// The token is always the same.
    TokensStandStill,
    /// Beats never come back.
    BeatsAreSwallowed,
    /// Who beats is out of the queue, and told so.
    BeatsLoseThePlace,
    /// A lock is never extended, though it is said to be.
    ExtendsDoNothing,
    /// Nobody ever leaves the queue.
    AbandonsDoNothing,
    /// Whoever releases a key frees it.
    AnybodyReleases,
    /// There is a permit more than there should be.
    OnePermitMore,
    /// Nobody is told that its lock was taken away.
    ThievesAreSilent,
}

/// What a step was.
#[derive(Debug, Clone)]
pub struct Step {
    pub process: usize,
    pub name: &'static str,
    pub key: Text,
    pub id: Text,
    pub owner: Text,
    /// When its process asked for it.
    pub asked: Instant,
    /// Whether it asked for a place in the queue.
    pub waits: bool,
}

/// What a step's answer or a message told.
#[derive(Debug, Default, Clone)]
pub struct Fact {
    pub tokens: Vec<(Text, Token)>,
    /// The caller is in the queue now.
    pub queued: bool,
    /// The store did what was asked: it released, extended, or knew the waiter.
    pub done: bool,
}

/// Sees everything the store does, in order.
pub trait Audit: Send + Sync + 'static {
    /// A step for this key is about to be carried out.
    fn before(&self, key: &Text);
    /// A step was carried out just now.
    fn step(&self, step: &Step, fact: &Fact);
    /// A process was disturbed until then, by more than a lost message.
    fn disturbed(&self, process: usize, until: Instant);
}

/// Nobody looks.
pub struct Unaudited;

impl Audit for Unaudited {
    fn before(&self, _: &Text) {}
    fn step(&self, _: &Step, _: &Fact) {}
    fn disturbed(&self, _: usize, _: Instant) {}
}

/// The network and the store behind it.
pub struct Network {
    pub memory: Arc<Memory>,
    audit: Arc<dyn Audit>,
    chance: Mutex<Chance>,
    weather: Mutex<Weather>,
    lie: Option<Lie>,
    /// Whether the store can keep a queue.
    has_queue: bool,
    processes: Mutex<Vec<Process>>,
    /// Whether an extension, too, may be carried out after what was sent later.
    delays_extensions: AtomicBool,
    /// Until then nobody reaches the store.
    out_until: Mutex<Option<Instant>>,
}

/// One process's way to the store. Cloning is shallow.
#[derive(Clone)]
pub struct Process {
    network: Arc<Network>,
    number: usize,
    client: Arc<Client>,
    line: Arc<Mutex<Line>>,
    /// Counts the connections.
    epoch: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Line {
    is_dead: bool,
    stalled_until: Option<Instant>,
    /// On one connection things arrive in the order they were sent.
    last_request: Option<Instant>,
    last_reply: Option<Instant>,
    last_message: Option<Instant>,
    /// The end of the subscription at the store, and at the process.
    at_store: Option<Messages>,
    at_process: Option<UnboundedSender<Message>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.number)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn no_earlier(at: Instant, than: &mut Option<Instant>) -> Instant {
    let at = than.map_or(at, |than| at.max(than));
    *than = Some(at);
    at
}

impl Network {
    pub fn new(
        audit: Arc<dyn Audit>,
        chance: Chance,
        weather: Weather,
        lie: Option<Lie>,
        has_queue: bool,
    ) -> Arc<Self> {
        Arc::new(Network {
            has_queue,
            memory: Arc::default(),
            audit,
            chance: Mutex::new(chance),
            weather: Mutex::new(weather),
            lie,
            processes: Mutex::default(),
            delays_extensions: AtomicBool::new(false),
            out_until: Mutex::default(),
        })
    }

    /// A new process.
    pub fn process(self: &Arc<Self>) -> Process {
        let mut processes = lock(&self.processes);
        let process = Process {
            network: self.clone(),
            number: processes.len(),
            client: Arc::new(self.memory.clone().client()),
            line: Arc::default(),
            epoch: Arc::new(watch::Sender::new(0)),
        };
        processes.push(process.clone());
        process
    }

    pub fn set_weather(&self, weather: Weather) {
        *lock(&self.weather) = weather;
    }

    /// From now on an extension, too, may be carried out after what was sent later.
    pub fn delay_extensions(&self) {
        self.delays_extensions.store(true, Ordering::Relaxed);
    }

    /// Nobody reaches the store for a while; all connections break.
    pub fn outage(&self, lasts: Duration) {
        let until = Instant::now() + lasts;
        *lock(&self.out_until) = Some(until);
        for process in lock(&self.processes).iter() {
            process.disturbed(until);
            process.break_connection();
            process.lose_subscription();
        }
    }

    /// Forgets the processes, which would keep the network alive.
    pub fn end(&self) {
        lock(&self.processes).clear();
    }

    fn weather(&self) -> Weather {
        *lock(&self.weather)
    }

    fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut lock(&self.chance))
    }

    fn is_out(&self) -> bool {
        lock(&self.out_until).is_some_and(|until| Instant::now() < until)
    }

    /// Takes the messages the store has just told to where they are going.
    fn deliver(&self, fact: &mut Fact) {
        let processes = lock(&self.processes).clone();
        for process in processes {
            while let Some(message) = process.told() {
                if let Message::Granted(_, Handed { id, token }, _) = &message {
                    fact.tokens.push((id.clone(), *token));
                }
                let is_hidden =
                    self.lie == Some(Lie::ThievesAreSilent) && matches!(message, Message::Lost(_));
                if !is_hidden {
                    process.carry(message);
                }
            }
        }
    }
}

impl Process {
    pub fn number(&self) -> usize {
        self.number
    }

    /// Nothing it does from now on reaches the store, which may take a while to notice.
    pub fn die(&self) {
        lock(&self.line).is_dead = true;
        lock(&self.line).at_process = None;
        let line = self.line.clone();
        let noticed = self.network.chance(|chance| chance.up_to(Duration::from_secs(4)));
        tokio::spawn(async move {
            sleep(noticed).await;
            lock(&line).at_store = None;
        });
    }

    pub fn is_dead(&self) -> bool {
        lock(&self.line).is_dead
    }

    /// Nothing comes or goes for a while, and nothing is lost.
    pub fn stall(&self, lasts: Duration) {
        let until = Instant::now() + lasts;
        self.disturbed(until);
        lock(&self.line).stalled_until = Some(until);
    }

    /// The connection for messages breaks; either end may notice first.
    pub fn lose_subscription(&self) {
        let (store_first, apart) = self
            .network
            .chance(|chance| (chance.per_mille(500), chance.up_to(Duration::from_millis(1500))));
        self.disturbed(Instant::now() + apart);
        let (at_store, at_process) = {
            let mut line = lock(&self.line);
            (line.at_store.take(), line.at_process.take())
        };
        tokio::spawn(async move {
            let (first, second): (Box<dyn Send>, Box<dyn Send>) = match store_first {
                true => (Box::new(at_store), Box::new(at_process)),
                false => (Box::new(at_process), Box::new(at_store)),
            };
            drop(first);
            sleep(apart).await;
            drop(second);
        });
    }

    fn break_connection(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
        let mut line = lock(&self.line);
        (line.last_request, line.last_reply) = (None, None);
    }

    fn disturbed(&self, until: Instant) {
        self.network.audit.disturbed(self.number, until);
    }

    fn told(&self) -> Option<Message> {
        lock(&self.line).at_store.as_mut()?.try_recv().ok()
    }

    /// Brings a message to the process, if it gets there.
    fn carry(&self, message: Message) {
        let weather = self.network.weather();
        let listener = lock(&self.line).at_process.as_ref().map(UnboundedSender::downgrade);
        let Some(listener) = listener else { return };
        let (lost, delay, twice) = self.network.chance(|chance| {
            let late = chance.per_mille(weather.late_messages);
            let longest = if late { weather.message_delay } else { weather.delay };
            let lost = chance.per_mille(weather.lost_messages);
            (lost, chance.up_to(longest), chance.per_mille(weather.doubled_messages))
        });
        if lost || self.network.is_out() {
            return;
        }
        let mut line = lock(&self.line);
        let at = no_earlier(Instant::now() + delay, &mut line.last_message);
        drop(line);
        let process = self.clone();
        tokio::spawn(async move {
            sleep_until(at).await;
            process.stalled().await;
            // What was under way when the subscription was lost is lost with it.
            let Some(listener) = listener.upgrade() else { return };
            if twice {
                let _ = listener.send(message.clone());
            }
            let _ = listener.send(message);
        });
    }

    async fn stalled(&self) {
        loop {
            let until = lock(&self.line).stalled_until;
            match until {
                Some(until) if Instant::now() < until => sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Sends a step on its way and waits for what comes back.
    async fn ask<T: Send + 'static>(
        &self,
        name: &'static str,
        key: &Text,
        waiter: Option<(&Text, &Text)>,
        waits: bool,
        act: impl FnOnce(&Client) -> (Result<T>, Fact) + Send + 'static,
    ) -> Result<T> {
        let asked = Instant::now();
        self.stalled().await;
        if self.is_dead() {
            return std::future::pending().await;
        }
        let weather = self.network.weather();
        let refused = self.network.chance(|chance| chance.per_mille(weather.refused));
        if refused || self.network.is_out() {
            self.disturbed(Instant::now());
            return Err(Error::Unreachable(Cause::new("refused")));
        }
        let (breaks, silent, there, back, wake_up) = self.network.chance(|chance| {
            let breaks = chance.per_mille(weather.broken);
            let silent = chance.per_mille(weather.silent);
            let (there, back) = (chance.up_to(weather.delay), chance.up_to(weather.delay));
            (breaks, silent, there, back, chance.up_to(weather.wake_up))
        });
        let now = Instant::now();
        let (arrives, answered) = {
            let mut line = lock(&self.line);
            let arrives = no_earlier(now + there, &mut line.last_request);
            (arrives, no_earlier(arrives + back, &mut line.last_reply))
        };
        if breaks || silent {
            self.disturbed(Instant::now() + COMMAND_TIMEOUT);
        }
        let mut epoch = self.epoch.subscribe();
        epoch.mark_unchanged();
        let epoch_then = *epoch.borrow();
        if breaks {
            let process = self.clone();
            let at = now + self.network.chance(|chance| chance.up_to(2 * weather.delay));
            tokio::spawn(async move {
                sleep_until(at).await;
                process.break_connection();
            });
        }
        let (id, owner) = waiter.map_or(("".into(), "".into()), |(id, o)| (id.clone(), o.clone()));
        let key = key.clone();
        let step = Step { process: self.number, name, key, id, owner, asked, waits };
        let (tell, reply) = oneshot::channel();
        let process = self.clone();
        // What was sent is carried out even if nobody waits for the answer any more.
        tokio::spawn(async move {
            sleep_until(arrives).await;
            let is_cut = *process.epoch.borrow() != epoch_then || process.is_dead() || silent;
            if is_cut {
                let (never, late) = process
                    .network
                    .chance(|chance| (chance.per_mille(500), chance.up_to(10 * weather.delay)));
                if never {
                    return;
                }
                // It was in a buffer on the way. (An extension that shortens and overtakes none is
                // hard enough.)
                let delays_extensions = &process.network.delays_extensions;
                if step.name != "extend" || delays_extensions.load(Ordering::Relaxed) {
                    sleep(late).await;
                }
            }
            let answer = process.carry_out(&step, act);
            sleep_until(answered).await;
            process.stalled().await;
            sleep(wake_up).await;
            if !silent {
                let _ = tell.send(answer);
            } else {
                std::future::pending::<()>().await;
            }
        });
        let answer = async {
            tokio::select! {
                biased;
                _ = epoch.changed() => Err(Error::Unknown(Cause::new("reset"))),
                answer = reply => match answer {
                    Ok(answer) => answer,
                    // It waits for what never comes.
                    Err(_) => std::future::pending().await,
                },
            }
        };
        match timeout(COMMAND_TIMEOUT, answer).await {
            Ok(answer) => {
                self.stalled().await;
                if self.is_dead() { std::future::pending().await } else { answer }
            }
            Err(_) => {
                self.disturbed(Instant::now());
                self.break_connection();
                Err(Error::Unknown(Cause::timeout("no reply", COMMAND_TIMEOUT)))
            }
        }
    }

    /// The store does what it is asked.
    fn carry_out<T>(
        &self,
        step: &Step,
        act: impl FnOnce(&Client) -> (Result<T>, Fact),
    ) -> Result<T> {
        self.network.audit.before(&step.key);
        let (answer, mut fact) = act(&self.client);
        self.network.deliver(&mut fact);
        self.network.audit.step(step, &fact);
        answer
    }

    fn lies(&self, lie: Lie) -> bool {
        self.network.lie == Some(lie)
    }
}

/// Memory answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("memory answers at once")
}

fn seen(view: &View) -> Vec<(Text, Token)> {
    match &view.held {
        Held::Ours(Handed { id, token }) => vec![(id.clone(), *token)],
        _ => Vec::new(),
    }
}

fn released(released: &Result<Released>) -> Fact {
    let tokens = match released {
        Ok(Released::HandedOn(handed)) => {
            handed.iter().map(|Handed { id, token }| (id.clone(), *token)).collect()
        }
        _ => Vec::new(),
    };
    let done = matches!(released, Ok(Released::Yes | Released::HandedOn(_)));
    Fact { tokens, done, queued: false }
}

impl Backend for Process {
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        let has_queue = self.network.has_queue;
        let wait = wait && has_queue;
        let (k, mut w) = (key.clone(), waiter.clone());
        if self.lies(Lie::OnePermitMore)
            && let Sharing::Permits(permits) = waiter.sharing
        {
            w.sharing = Sharing::of(permits.get() + 1);
        }
        let holds = self.lies(Lie::EverybodyHolds);
        let still = self.lies(Lie::TokensStandStill);
        self.ask("acquire", key, Some((&waiter.id, &waiter.owner)), wait, move |client| {
            let mut answer = now(client.acquire(&k, &w, wait));
            match &mut answer {
                Ok(Acquired::Held(Some(token))) if still => *token = 1,
                Ok(other @ (Acquired::Taken | Acquired::Waits(_))) if holds => {
                    *other = Acquired::Held(Some(u64::MAX));
                }
                _ => {}
            }
            if !has_queue && let Ok(answer) = &mut answer {
                *answer = match answer {
                    Acquired::Held(_) => Acquired::Held(None),
                    _ => Acquired::NoQueue,
                };
            }
            let mut fact = Fact::default();
            match &answer {
                Ok(Acquired::Held(Some(token))) => fact.tokens.push((w.id.clone(), *token)),
                Ok(Acquired::Waits(view)) => {
                    fact.tokens = seen(view);
                    fact.queued = wait;
                }
                _ => {}
            }
            (answer, fact)
        })
        .await
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        let (k, mut i) = (key.clone(), id.clone());
        let anybody = self.lies(Lie::AnybodyReleases);
        self.ask("release", key, Some((id, &"".into())), false, move |client| {
            if anybody && let Ok(Some(holder)) = now(client.read(&k)) {
                i = holder.id.into();
            }
            let answer = now(client.release(&k, &i));
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        let (k, i) = (key.clone(), id.clone());
        let nothing = self.lies(Lie::ExtendsDoNothing);
        self.ask("extend", key, Some((id, &"".into())), false, move |client| {
            let answer = match nothing {
                true => Ok(Released::Yes),
                false => now(client.extend(&k, &i, milliseconds)),
            };
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        let (k, w) = (key.clone(), waiter.clone());
        let nothing = self.lies(Lie::AbandonsDoNothing);
        self.ask("abandon", key, Some((&waiter.id, &waiter.owner)), false, move |client| {
            let answer = match nothing {
                true => Ok(Released::No),
                false => now(client.abandon(&k, &w)),
            };
            let fact = released(&answer);
            (answer, fact)
        })
        .await
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        if self.lies(Lie::BeatsAreSwallowed) {
            return std::future::pending().await;
        }
        let (k, w) = (key.clone(), first.clone());
        let loses = self.lies(Lie::BeatsLoseThePlace);
        self.ask("beat", key, Some((&first.id, &first.owner)), false, move |client| {
            if loses {
                let _ = now(client.abandon(&k, &w));
            }
            let answer = now(client.beat(&k, &w, delay));
            let mut fact = Fact::default();
            if let Ok(Beat::Known(view) | Beat::Lost(view)) = &answer {
                fact.tokens = seen(view);
            }
            fact.done = matches!(answer, Ok(Beat::Known(_)));
            (answer, fact)
        })
        .await
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        let k = key.clone();
        self.ask("read", key, None, false, move |client| (now(client.read(&k)), Fact::default()))
            .await
    }

    async fn steal(&self, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        let (k, w) = (key.clone(), waiter.clone());
        self.ask("steal", key, Some((&waiter.id, &waiter.owner)), false, move |client| {
            let answer = now(client.steal(&k, &w));
            let mut fact = Fact::default();
            if let Ok(Acquired::Held(Some(token))) = &answer {
                fact.tokens.push((w.id.clone(), *token));
            }
            (answer, fact)
        })
        .await
    }

    async fn acquire_all(&self, wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        self.client.acquire_all(wanted).await
    }

    async fn force(&self, key: &Text) -> Result<Released> {
        let k = key.clone();
        self.ask("force", key, None, false, move |client| {
            let answer = now(client.force(&k));
            let fact = released(&answer);
            (answer, fact)
        })
        .await
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
        self.stalled().await;
        if self.is_dead() {
            return std::future::pending().await;
        }
        let weather = self.network.weather();
        let delay = self.network.chance(|chance| chance.up_to(2 * weather.delay));
        sleep(delay).await;
        if self.network.is_out() {
            return Err(Error::Unreachable(Cause::new("refused")));
        }
        let (listener, messages) = unbounded_channel();
        let mut line = lock(&self.line);
        line.at_store = Some(now(self.client.subscribe())?);
        line.at_process = Some(listener);
        line.last_message = None;
        drop(line);
        self.disturbed(Instant::now());
        Ok(messages)
    }

    async fn mode(&self) -> Result<Mode> {
        Ok(Mode::Queue)
    }

    fn is_connected(&self) -> bool {
        !self.network.is_out()
    }
}
