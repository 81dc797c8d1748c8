//! The same processes on the memory store and on Redis, and what each said and was told.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dist_lock::Backend;
use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{
    Acquired, AcquiredAll, Beat, CLAIM, Handed, Held, Holder, Listing, Message, Messages, Queued,
    Redis, Released, Sharing, Text, Token, View, Waiter,
};
use dist_lock::error::{Error, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep, timeout};

use super::server::Server;

/// Long enough that no lock ends by itself while a sequence runs; ends are made by its steps.
pub const TTL: Duration = Duration::from_secs(600);
pub const PROCESSES: usize = 3;
/// How many ids each process has.
pub const IDS: usize = 6;
/// Names that could be taken apart in the wrong place, or end up in another slot.
const KEYS: [&str; 2] = ["lock:a", "lock:{b} c%d"];
const OWNERS: [&str; 4] = ["ann", "", "two words ", "line\nünd %s {x}"];
/// The longest that is waited for what must come.
const LIMIT: Duration = Duration::from_secs(10);
/// Redis counts milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

/// What a process does. Ids are numbered over all processes.
#[derive(Debug, Clone)]
pub enum Step {
    Acquire {
        process: usize,
        key: usize,
        id: usize,
        wait: bool,
    },
    Release {
        process: usize,
        key: usize,
        id: usize,
    },
    /// By whoever holds the key.
    HolderReleases {
        process: usize,
        key: usize,
    },
    Extend {
        process: usize,
        key: usize,
        id: usize,
        milliseconds: f64,
    },
    HolderExtends {
        process: usize,
        key: usize,
        milliseconds: f64,
    },
    Abandon {
        process: usize,
        key: usize,
        id: usize,
    },
    Beat {
        process: usize,
        key: usize,
        id: usize,
        delay: u64,
    },
    Read {
        process: usize,
        key: usize,
    },
    /// All keys at once, the first with this id and each further one with the next.
    All {
        process: usize,
        id: usize,
    },
    Steal {
        process: usize,
        key: usize,
        id: usize,
    },
    Force {
        process: usize,
        key: usize,
    },
    List {
        process: usize,
        key: usize,
    },
    /// The lock reaches the end of its time.
    Expire {
        key: usize,
    },
    /// `first`: before anybody else could, at the end of another's lock.
    TakeAsVersion2 {
        key: usize,
        id: usize,
        first: bool,
    },
    ReleaseAsVersion2 {
        key: usize,
    },
    Flush,
    Subscribe {
        process: usize,
    },
    LoseSubscription {
        process: usize,
    },
    /// The step before is carried out once more.
    Again,
    Wait {
        milliseconds: u64,
    },
}

/// What is done to a store that no process does, and what it tells the processes.
pub trait Hand {
    /// The store's time, in whole milliseconds as its steps see it.
    fn time(&self) -> u64;
    /// Where the store's clock is ours to set, it shows that time from now on.
    async fn set_time(&self, time: u64);
    fn expire(&self, key: &Text);
    fn take_as_version_2(&self, key: &Text, id: &Text) -> bool;
    fn release_as_version_2(&self, key: &Text, id: &Text) -> bool;
    fn flush(&self);
    /// Redis waits; the clock of the memory store follows.
    async fn wait(&self, time: Duration);
    /// Returns when the store knows that as many processes listen.
    async fn settle(&self, listening: usize);
    /// How many keys would stay for ever.
    fn endless(&self) -> usize;
    /// All messages that were told so far to each process that listens.
    async fn told(&self, listening: &mut [Option<Messages>]) -> Vec<Vec<Message>>;
}

pub struct InMemory {
    memory: Arc<Memory>,
    time: Cell<u64>,
}

impl InMemory {
    pub fn new() -> Self {
        InMemory { memory: Arc::default(), time: Cell::new(0) }
    }

    pub fn processes(&self) -> Vec<Client> {
        (0..PROCESSES).map(|_| self.memory.clone().client()).collect()
    }
}

impl Hand for InMemory {
    fn time(&self) -> u64 {
        self.time.get()
    }

    async fn set_time(&self, time: u64) {
        let before = self.time.replace(time);
        if before > 0 {
            advance(Duration::from_millis(time.saturating_sub(before))).await;
        }
    }

    fn expire(&self, key: &Text) {
        self.memory.expire(key);
    }

    fn take_as_version_2(&self, key: &Text, id: &Text) -> bool {
        self.memory.acquire_as_version_2(key, id, TTL)
    }

    fn release_as_version_2(&self, key: &Text, id: &Text) -> bool {
        self.memory.release_as_version_2(key, id)
    }

    fn flush(&self) {
        self.memory.clear();
    }

    async fn wait(&self, _: Duration) {}

    async fn settle(&self, _: usize) {}

    fn endless(&self) -> usize {
        0
    }

    async fn told(&self, listening: &mut [Option<Messages>]) -> Vec<Vec<Message>> {
        let heard = |messages: &mut Option<Messages>| {
            std::iter::from_fn(|| messages.as_mut()?.try_recv().ok()).collect()
        };
        listening.iter_mut().map(heard).collect()
    }
}

pub struct InRedis {
    connection: RefCell<redis::Connection>,
    /// The channels of the processes that listen.
    channels: RefCell<Vec<String>>,
}

impl InRedis {
    pub fn new(server: &Server) -> Self {
        InRedis { connection: RefCell::new(server.connection()), channels: RefCell::default() }
    }

    pub fn processes(server: &Server) -> Vec<Redis> {
        (0..PROCESSES).map(|_| Redis::new(server.settings()).unwrap()).collect()
    }

    fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut *self.connection.borrow_mut()).unwrap()
    }
}

impl Hand for InRedis {
    fn time(&self) -> u64 {
        let (seconds, microseconds): (u64, u64) = self.ask(&["TIME"]);
        seconds * 1000 + microseconds / 1000
    }

    async fn set_time(&self, _: u64) {}

    fn expire(&self, key: &Text) {
        self.ask::<u64>(&["DEL", key]);
    }

    fn take_as_version_2(&self, key: &Text, id: &Text) -> bool {
        let is_taken: bool = self.ask(&["EXISTS", key]);
        if !is_taken {
            self.ask::<u64>(&["HSET", key, "id", id, "owner", ""]);
            self.ask::<u64>(&["PEXPIRE", key, &TTL.as_millis().to_string()]);
        }
        !is_taken
    }

    fn release_as_version_2(&self, key: &Text, id: &Text) -> bool {
        let holder: Option<String> = self.ask(&["HGET", key, "id"]);
        let is_ours = holder.as_deref() == Some(id);
        if is_ours {
            self.ask::<u64>(&["DEL", key]);
        }
        is_ours
    }

    fn flush(&self) {
        self.ask::<()>(&["FLUSHALL"]);
    }

    async fn wait(&self, time: Duration) {
        sleep(time).await;
    }

    async fn settle(&self, listening: usize) {
        loop {
            let channels: Vec<String> = self.ask(&["PUBSUB", "CHANNELS", "dist-lock:process:*"]);
            if channels.len() == listening {
                return drop(self.channels.replace(channels));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn endless(&self) -> usize {
        let keys: Vec<String> = self.ask(&["KEYS", "*"]);
        keys.iter().filter(|key| self.ask::<i64>(&["PTTL", key]) == -1).count()
    }

    async fn told(&self, listening: &mut [Option<Messages>]) -> Vec<Vec<Message>> {
        // Messages keep their order, so this one comes after those before it.
        let mark = Message::Look("mark".into());
        let mut marks = redis::pipe();
        for channel in self.channels.borrow().iter() {
            marks.cmd("PUBLISH").arg(channel).arg("look mark").ignore();
        }
        if !marks.is_empty() {
            marks.exec(&mut *self.connection.borrow_mut()).unwrap();
        }
        let mut told = Vec::new();
        for messages in listening {
            let mut heard = Vec::new();
            while let Some(messages) = messages {
                let message = timeout(LIMIT, messages.recv()).await.expect("the mark comes");
                match message.expect("the subscription lasts") {
                    message if message == mark => break,
                    message => heard.push(message),
                }
            }
            told.push(heard);
        }
        told
    }
}

/// Three processes that use one store, and what they were told.
struct World<'a, B, H> {
    hand: &'a H,
    processes: &'a [B],
    listening: Vec<Option<Messages>>,
    tokens: Tokens,
    last: Option<Step>,
}

/// Tokens by order of first appearance: those of two stores are equal only in that.
#[derive(Default)]
struct Tokens {
    by_id: HashMap<Text, Vec<Token>>,
    /// Before this step, which may grant several shares, and now.
    before: Token,
    largest: Token,
}

impl Tokens {
    /// "b#2": the second token of the lock "b". A new one is larger than all before it.
    fn name(&mut self, id: &str, token: Token) -> String {
        let known = self.by_id.entry(id.into()).or_default();
        let number = known.iter().position(|other| *other == token).unwrap_or_else(|| {
            assert!(token > self.before, "{token} of {id} after {}", self.before);
            self.largest = self.largest.max(token);
            known.push(token);
            known.len() - 1
        });
        format!("{id}#{number}")
    }
}

/// What can be compared of an answer: words, and the time left.
#[derive(Debug, Default)]
struct Said {
    words: String,
    left: Option<Duration>,
    told: Vec<Vec<String>>,
}

impl Said {
    /// All but how long is left.
    fn is_like(&self, other: &Said) -> bool {
        let lasts = self.left.is_some() == other.left.is_some();
        lasts && self.words == other.words && self.told == other.told
    }

    /// Whether the time left is what it may be, if neither beginning nor look were earlier than those of one nor
    /// later than those of the other.
    fn lasts_between(&self, one: &Said, other: &Said, blur: Duration) -> bool {
        let (Some(left), Some(one), Some(other)) = (self.left, one.left, other.left) else {
            return true;
        };
        (one.min(other).saturating_sub(blur)..=one.max(other) + blur).contains(&left)
    }
}

fn id(number: usize) -> Text {
    format!("id{number}").into()
}

fn caller(number: usize) -> Waiter {
    // One is shorter than the claim, and one is even and long.
    let ttl = if number % IDS == 1 { CLAIM - Duration::from_millis(500) } else { TTL };
    let sharing = match number % IDS {
        4 => Sharing::Shared,
        // They do not all agree.
        5 => Sharing::of(if number < 2 * IDS { 2 } else { 3 }),
        _ => Sharing::Exclusive,
    };
    Waiter { id: id(number), owner: OWNERS[number % OWNERS.len()].into(), ttl, sharing }
}

impl<'a, B: Backend, H: Hand> World<'a, B, H> {
    async fn new(hand: &'a H, processes: &'a [B]) -> Self {
        hand.flush();
        let listening = processes.iter().map(|_| None).collect();
        let (tokens, last) = Default::default();
        let mut world = World { hand, processes, listening, tokens, last };
        // The last process is not subscribed, until it is.
        for process in 0..PROCESSES - 1 {
            world.subscribe(process).await;
        }
        world
    }

    async fn subscribe(&mut self, process: usize) {
        self.lose_subscription(process).await;
        self.listening[process] = Some(self.processes[process].subscribe().await.unwrap());
        self.settle().await;
    }

    async fn lose_subscription(&mut self, process: usize) {
        self.listening[process] = None;
        self.settle().await;
    }

    async fn settle(&self) {
        self.hand.settle(self.listening.iter().flatten().count()).await;
    }

    async fn take(&mut self, step: &Step) -> Said {
        let step = match (step, self.last.take()) {
            (Step::Again, None) => return Said::default(),
            (Step::Again, Some(last)) => last,
            (step, _) => step.clone(),
        };
        self.last = Some(step.clone());
        self.tokens.before = self.tokens.largest;
        self.carry_out(step).await
    }

    async fn carry_out(&mut self, step: Step) -> Said {
        let name = |key: usize| Text::from(KEYS[key]);
        let version_2 = |id: usize| Text::from(format!("old{id}"));
        let words = |words: String| Said { words, ..Said::default() };
        match step {
            Step::Acquire { process, key, id, wait } => {
                let wait = wait && self.listening[process].is_some();
                let asked = caller(id);
                let answer = self.processes[process].acquire(&name(key), &asked, wait).await;
                self.say(answer, |world, answer| match answer {
                    Acquired::Held(Some(token)) => {
                        words(format!("held {}", world.tokens.name(&asked.id, token)))
                    }
                    Acquired::Waits(view) => world.view("waits", view),
                    other => words(format!("{other:?}")),
                })
            }
            Step::All { process, id: number } => {
                let asked = caller(number);
                let ids = (0..KEYS.len()).map(|at| Waiter { id: id(number + at), ..asked.clone() });
                let wanted: Vec<_> = (0..KEYS.len()).map(name).zip(ids).collect();
                let answer = self.processes[process].acquire_all(&wanted).await;
                self.say(answer, |world, answer| match answer {
                    AcquiredAll::Held(token) => {
                        let ids = wanted.iter().map(|(_, waiter)| &waiter.id);
                        let named: Vec<_> = ids.map(|id| world.tokens.name(id, token)).collect();
                        words(format!("held {named:?}"))
                    }
                    taken => words(format!("{taken:?}")),
                })
            }
            Step::Release { process, key, id: number } => {
                let answer = self.processes[process].release(&name(key), &id(number)).await;
                self.say(answer, Self::released)
            }
            Step::HolderReleases { process, key } => {
                let holder = self.holder(process, &name(key)).await;
                let answer = self.processes[process].release(&name(key), &holder).await;
                self.say(answer, Self::released)
            }
            Step::Extend { process, key, id: number, milliseconds } => {
                let process = &self.processes[process];
                let answer = process.extend(&name(key), &id(number), milliseconds).await;
                self.say(answer, Self::released)
            }
            Step::HolderExtends { process, key, milliseconds } => {
                let holder = self.holder(process, &name(key)).await;
                let process = &self.processes[process];
                let answer = process.extend(&name(key), &holder, milliseconds).await;
                self.say(answer, Self::released)
            }
            Step::Abandon { process, key, id } => {
                let answer = self.processes[process].abandon(&name(key), &caller(id)).await;
                self.say(answer, Self::released)
            }
            Step::Beat { process, key, id, delay } => {
                let delay = Duration::from_millis(delay);
                let answer = self.processes[process].beat(&name(key), &caller(id), delay).await;
                self.say(answer, |world, answer| match answer {
                    Beat::Known(view) => world.view("known", view),
                    Beat::Lost(view) => world.view("lost", view),
                    Beat::NoQueue => words("no queue".into()),
                })
            }
            Step::Read { process, key } => {
                let answer = self.processes[process].read(&name(key)).await;
                self.say(answer, Self::holder_read)
            }
            Step::Steal { process, key, id } => {
                let asked = caller(id);
                let answer = self.processes[process].steal(&name(key), &asked).await;
                self.say(answer, |world, answer| match answer {
                    Acquired::Held(Some(token)) => {
                        words(format!("held {}", world.tokens.name(&asked.id, token)))
                    }
                    other => words(format!("{other:?}")),
                })
            }
            Step::Force { process, key } => {
                let answer = self.processes[process].force(&name(key)).await;
                self.say(answer, Self::released)
            }
            Step::List { process, key } => {
                let answer = self.processes[process].list(&[name(key)]).await;
                self.say(answer, |world, listings| world.listed(listings))
            }
            Step::Expire { key } => {
                self.hand.expire(&name(key));
                Said::default()
            }
            Step::TakeAsVersion2 { key, id, first } => {
                if first {
                    self.hand.expire(&name(key));
                }
                words(self.hand.take_as_version_2(&name(key), &version_2(id)).to_string())
            }
            Step::ReleaseAsVersion2 { key } => {
                let mut ids = [version_2(0), version_2(1)].into_iter();
                words(ids.any(|id| self.hand.release_as_version_2(&name(key), &id)).to_string())
            }
            Step::Flush => {
                self.hand.flush();
                // Those before it are larger than the time where the clock only moves between steps.
                self.tokens = Tokens::default();
                Said::default()
            }
            Step::Subscribe { process } => {
                self.subscribe(process).await;
                Said::default()
            }
            Step::LoseSubscription { process } => {
                self.lose_subscription(process).await;
                Said::default()
            }
            Step::Wait { milliseconds } => {
                self.hand.wait(Duration::from_millis(milliseconds)).await;
                Said::default()
            }
            Step::Again => unreachable!("it stands for the step before"),
        }
    }

    async fn holder(&self, process: usize, key: &Text) -> Text {
        let holder = self.processes[process].read(key).await.unwrap();
        holder.map_or_else(|| "nobody".into(), |holder| holder.id.into())
    }

    /// A refusal is told by its code: the scripts' errors carry the server's wording.
    fn say<T>(&mut self, answer: Result<T>, say: impl FnOnce(&mut Self, T) -> Said) -> Said {
        match answer {
            Ok(answer) => say(self, answer),
            Err(Error::Redis { code, .. }) => Said { words: code, ..Said::default() },
            Err(error @ Error::Permits(_)) => Said { words: error.to_string(), ..Said::default() },
            Err(error) => panic!("{error}"),
        }
    }

    fn released(&mut self, released: Released) -> Said {
        let words = match released {
            Released::HandedOn(handed) => {
                let mut words = String::from("handed on");
                for Handed { id, token } in handed {
                    words = format!("{words} {}", self.tokens.name(&id, token));
                }
                words
            }
            other => format!("{other:?}"),
        };
        Said { words, ..Said::default() }
    }

    fn holder_read(&mut self, holder: Option<Holder>) -> Said {
        let Some(holder) = holder else { return Said::default() };
        let left = holder.left;
        Said { words: self.holder_in_words(holder), left, told: Vec::new() }
    }

    fn holder_in_words(&mut self, holder: Holder) -> String {
        let Holder { id, owner, token, sharing, .. } = holder;
        let name = token.map(|token| self.tokens.name(&Text::from(id.as_str()), token));
        format!("{id} {owner:?} {name:?} {sharing:?}")
    }

    fn listed(&mut self, listings: Vec<Listing>) -> Said {
        let mut words = String::new();
        for Listing { key, holders, waiters } in listings {
            words += &key;
            for holder in holders {
                words = format!("{words} {}", self.holder_in_words(holder));
            }
            for Queued { id, owner, sharing, .. } in waiters {
                words = format!("{words}, {id} {owner:?} {sharing:?}");
            }
        }
        Said { words, ..Said::default() }
    }

    fn view(&mut self, place: &str, View { held, left, at: _ }: View) -> Said {
        let held = match held {
            Held::Ours(Handed { id, token }) => self.tokens.name(&id, token),
            other => format!("{other:?}"),
        };
        Said { words: format!("{place}: {held}"), left, told: Vec::new() }
    }

    /// What each process was told since it was asked last.
    async fn told(&mut self) -> Vec<Vec<String>> {
        let told = self.hand.told(&mut self.listening).await;
        let mut words = |message| match message {
            Message::Granted(key, Handed { id, token }, _) => {
                format!("granted {key} {}", self.tokens.name(&id, token))
            }
            Message::Look(key) => format!("look {key}"),
            Message::Named(..) | Message::Missed => "something only a Cluster tells".into(),
            Message::Lost(Handed { id, token }) => format!("lost {}", self.tokens.name(&id, token)),
        };
        told.into_iter().map(|heard| heard.into_iter().map(&mut words).collect()).collect()
    }
}

/// What came of a comparison.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Same,
    /// From this step on nobody can say what Redis should have answered: something began or ended in just
    /// the milliseconds in which it did.
    Unclear(usize),
    Differs(String),
}

/// A memory store whose clock shows the time we say.
struct Specification {
    runtime: Runtime,
    hand: InMemory,
    processes: Vec<Client>,
}

impl Specification {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().start_paused(true).build().unwrap();
        let hand = InMemory::new();
        let processes = hand.processes();
        Specification { runtime, hand, processes }
    }
}

/// A Redis, and the memory store twice: no step of Redis is earlier than the same step of the first, nor later
/// than that of the second.
pub struct Stage {
    bounds: [Specification; 2],
    runtime: Runtime,
    hand: InRedis,
    processes: Vec<Redis>,
}

impl Stage {
    pub fn new(server: &Server) -> Self {
        Stage {
            bounds: [Specification::new(), Specification::new()],
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            hand: InRedis::new(server),
            processes: InRedis::processes(server),
        }
    }

    /// Carries out `steps` on all stores.
    pub fn compare(&self, steps: &[Step]) -> Outcome {
        let Stage { bounds, runtime, hand, processes } = self;
        let mut real = runtime.block_on(World::new(hand, processes));
        let mut specified = bounds.each_ref().map(|Specification { runtime, hand, processes }| {
            (runtime, runtime.block_on(World::new(hand, processes)))
        });
        for (number, step) in steps.iter().enumerate() {
            let began = hand.time();
            let mut says = runtime.block_on(real.take(step));
            let ended = hand.time();
            says.told = runtime.block_on(real.told());
            let mut times = [began, ended].into_iter();
            let [earliest, latest] = specified.each_mut().map(|(runtime, world)| {
                runtime.block_on(async {
                    world.hand.set_time(times.next().unwrap_or(ended)).await;
                    let mut says = world.take(step).await;
                    says.told = world.told().await;
                    says
                })
            });
            if !earliest.is_like(&latest) {
                return Outcome::Unclear(number);
            }
            let blur = Duration::from_millis(ended - began) + ROUNDING;
            if !(says.is_like(&earliest) && says.lasts_between(&earliest, &latest, blur)) {
                return Outcome::Differs(format!(
                    "step {number}, {step:?}:\n redis: {says:?}\nmemory: {earliest:?}\n     or: {latest:?}"
                ));
            }
        }
        match hand.endless() {
            0 => Outcome::Same,
            endless => Outcome::Differs(format!("{endless} keys have no end")),
        }
    }
}
