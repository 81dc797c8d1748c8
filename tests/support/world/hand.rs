//! What is done to a store from outside, and what it tells its processes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::memory::{Client, Memory};
use dist_lock::backend::{Message, Messages, Redis, Text};
use tokio::time::{advance, sleep, timeout};

use super::super::server::Server;
use super::{PROCESSES, TTL};

/// The longest that is waited for what must come.
const LIMIT: Duration = Duration::from_secs(10);

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
