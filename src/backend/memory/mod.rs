//! The steps in plain Rust on tokio's clock: `memory:` for applications and their tests, and
//! the specification that the scripts in `src/lua` are compared with.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    Acquired, AcquiredAll, Backend, Beat, Holder, Listing, Message, Messages, Mode, Released, Text,
    Waiter,
};
use crate::error::Result;
use crate::id;
use crate::mutex::lock;

mod hand_on;
mod locks;
mod queue;
mod shares;
mod steal;
mod step;

use locks::Locks;

/// Locks in this process.
#[derive(Debug, Default)]
pub struct Memory {
    locks: Mutex<Locks>,
    subscribers: Mutex<HashMap<Text, UnboundedSender<Message>>>,
}

/// The stores that have names. A store lasts as long as somebody uses it or a lock in it lives,
/// as a lock in Redis outlives the program that took it.
static NAMED: LazyLock<Mutex<Named>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Named {
    by_name: HashMap<String, Arc<Memory>>,
    /// When there are more stores than this, those nobody needs are swept out.
    sweep_above: usize,
}

impl Memory {
    /// The store of this process that has this name.
    pub fn named(name: &str) -> Arc<Self> {
        let mut named = lock(&NAMED);
        if named.by_name.len() >= named.sweep_above {
            let is_needed = |store: &Arc<Memory>| {
                Arc::strong_count(store) > 1 || lock(&store.locks).any_lives()
            };
            named.by_name.retain(|_, store| is_needed(store));
            named.sweep_above = 2 * named.by_name.len() + 64;
        }
        named.by_name.entry(name.to_owned()).or_default().clone()
    }

    /// One user of the store, with waiters of its own: what a process is to Redis.
    pub fn client(self: Arc<Self>) -> Client {
        Client { memory: self, process: id::process() }
    }

    /// Lets a version-2 process try to take `key`: it does not know of the queue, and its lock does
    /// not tell when it is free.
    pub fn acquire_as_version_2(&self, key: &Text, id: &Text, ttl: Duration) -> bool {
        lock(&self.locks).take_as_version_2(key, id, ttl)
    }

    /// Lets a version-2 process release `key`.
    pub fn release_as_version_2(&self, key: &Text, id: &Text) -> bool {
        lock(&self.locks).free(key, id)
    }

    /// Ends the lock of `key`, as its time to live does.
    pub fn expire(&self, key: &Text) {
        lock(&self.locks).expire(key);
    }

    /// Forgets everything, as `FLUSHALL` does.
    pub fn clear(&self) {
        lock(&self.locks).clear();
    }

    /// How many processes hear `message`: one or none.
    fn tell(&self, process: &Text, message: Message) -> bool {
        let subscribers = lock(&self.subscribers);
        subscribers.get(process).is_some_and(|subscriber| subscriber.send(message).is_ok())
    }
}

/// One user of a [`Memory`].
#[derive(Debug)]
pub struct Client {
    memory: Arc<Memory>,
    process: Text,
}

impl Client {
    fn step<T>(&self, act: impl FnOnce(&mut step::Step<'_>) -> T) -> T {
        let tell = |process: &Text, message| self.memory.tell(process, message);
        let mut locks = lock(&self.memory.locks);
        act(&mut step::Step { locks: &mut locks, process: &self.process, tell: &tell })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.memory.subscribers).remove(&self.process);
    }
}

impl Backend for Client {
    async fn acquire(&self, key: &Text, waiter: &Waiter, wait: bool) -> Result<Acquired> {
        self.step(|step| step.acquire(key, waiter, wait))
    }

    async fn acquire_all(&self, wanted: &[(Text, Waiter)]) -> Result<AcquiredAll> {
        Ok(self.step(|step| step.acquire_all(wanted)))
    }

    async fn steal(&self, key: &Text, waiter: &Waiter) -> Result<Acquired> {
        Ok(self.step(|step| step.steal(key, waiter)))
    }

    async fn force(&self, key: &Text) -> Result<Released> {
        Ok(self.step(|step| step.force(key)))
    }

    async fn names(&self, prefix: &str) -> Result<Vec<Text>> {
        Ok(self.step(|step| step.locks.names(prefix)))
    }

    async fn list(&self, keys: &[Text]) -> Result<Vec<Listing>> {
        Ok(self.step(|step| keys.iter().map(|key| step.list(key)).collect()))
    }

    fn process(&self) -> &Text {
        &self.process
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<Released> {
        Ok(self.step(|step| step.release(key, id)))
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<Released> {
        self.step(|step| step.extend(key, id, milliseconds))
    }

    async fn abandon(&self, key: &Text, waiter: &Waiter) -> Result<Released> {
        Ok(self.step(|step| step.abandon(key, waiter)))
    }

    async fn beat(&self, key: &Text, first: &Waiter, delay: Duration) -> Result<Beat> {
        Ok(self.step(|step| step.beat(key, first, delay)))
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        Ok(self.step(|step| step.locks.holder(key)))
    }

    async fn subscribe(&self) -> Result<Messages> {
        let (sender, messages) = unbounded_channel();
        lock(&self.memory.subscribers).insert(self.process.clone(), sender);
        Ok(messages)
    }

    async fn mode(&self) -> Result<Mode> {
        Ok(Mode::Queue)
    }

    fn is_connected(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Sharing;
    use tokio::time::advance;

    const TTL: Duration = Duration::from_secs(30);

    fn waiter(id: &str, ttl: Duration) -> Waiter {
        Waiter { id: id.into(), owner: "".into(), ttl, sharing: Sharing::Exclusive }
    }

    async fn takes(client: &Client, key: &str, id: &str, ttl: Duration) -> bool {
        let acquired = client.acquire(&key.into(), &waiter(id, ttl), false).await.unwrap();
        matches!(acquired, Acquired::Held(_))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_free_again_at_the_end_of_its_ttl() {
        let client = Arc::<Memory>::default().client();
        assert!(takes(&client, "k", "a", TTL).await);

        advance(TTL - Duration::from_millis(1)).await;
        assert!(!takes(&client, "k", "b", TTL).await);
        advance(Duration::from_millis(1)).await;

        assert_eq!(client.read(&"k".into()).await.unwrap(), None);
        assert!(takes(&client, "k", "b", TTL).await);
        let released = client.release(&"k".into(), &"a".into()).await.unwrap();
        assert_eq!(released, Released::No, "the first holder lost it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_store_outlives_its_users_while_a_lock_in_it_lives() {
        assert!(takes(&Memory::named("outlives").client(), "k", "a", TTL).await);
        for number in 0..1000 {
            Memory::named(&format!("outlives-{number}"));
        }

        let client = Memory::named("outlives").client();
        assert!(client.read(&"k".into()).await.unwrap().is_some());
        assert!(lock(&NAMED).by_name.len() < 200);
    }

    #[tokio::test(start_paused = true)]
    async fn ended_locks_do_not_pile_up() {
        let client = Arc::<Memory>::default().client();
        for round in 0..100 {
            for key in 0..100 {
                takes(&client, &format!("{round}:{key}"), "a", Duration::from_millis(1)).await;
            }
            advance(Duration::from_millis(2)).await;
        }

        assert!(lock(&client.memory.locks).len() <= 200);
    }
}
