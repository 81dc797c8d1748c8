//! The steps in plain Rust on tokio's clock: `memory:` for applications and their tests, and
//! the specification that the scripts in `src/lua` are compared with.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Backend, Holder, Text};
use crate::error::{Error, Result};

/// Locks in this process.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Entries>);

/// The stores that have names. A store lasts as long as somebody uses it or a lock in it lives,
/// as a lock in Redis outlives the program that took it.
static NAMED: LazyLock<Mutex<Named>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Named {
    by_name: HashMap<String, Arc<Memory>>,
    /// When there are more stores than this, those nobody needs are swept out.
    sweep_above: usize,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Text, Entry>,
    /// When there are more entries than this, those that ended are swept out.
    sweep_above: usize,
}

#[derive(Debug)]
struct Entry {
    id: Text,
    owner: Text,
    /// `None`: later than the clock can count.
    ends: Option<Instant>,
}

impl Memory {
    /// The store of this process that has this name.
    pub fn named(name: &str) -> Arc<Self> {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if named.by_name.len() >= named.sweep_above {
            let is_needed = |store: &Arc<Memory>| Arc::strong_count(store) > 1 || store.has_locks();
            named.by_name.retain(|_, store| is_needed(store));
            named.sweep_above = 2 * named.by_name.len() + 64;
        }
        named.by_name.entry(name.to_owned()).or_default().clone()
    }

    fn has_locks(&self) -> bool {
        self.entries().by_key.values().any(|entry| !entry.is_over())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// The live entry of `key`.
    fn get(&mut self, key: &str) -> Option<&mut Entry> {
        self.by_key.get_mut(key).filter(|entry| !entry.is_over())
    }

    /// The live entry of `key`, if `id` holds it.
    fn held_by(&mut self, key: &str, id: &str) -> Option<&mut Entry> {
        self.get(key).filter(|entry| *entry.id == *id)
    }

    fn insert(&mut self, key: &Text, entry: Entry) {
        if self.by_key.len() >= self.sweep_above {
            self.by_key.retain(|_, entry| !entry.is_over());
            self.sweep_above = 2 * self.by_key.len() + 64;
        }
        self.by_key.insert(key.clone(), entry);
    }
}

impl Entry {
    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }
}

fn after(ttl: Duration) -> Option<Instant> {
    Instant::now().checked_add(ttl)
}

impl Backend for Memory {
    async fn acquire(&self, key: &Text, id: &Text, owner: &Text, ttl: Duration) -> Result<bool> {
        let mut entries = self.entries();
        match entries.get(key) {
            None => {
                let entry = Entry { id: id.clone(), owner: owner.clone(), ends: after(ttl) };
                entries.insert(key, entry);
                Ok(true)
            }
            Some(entry) if entry.id == *id => {
                entry.ends = after(ttl);
                Ok(true)
            }
            Some(_) => Ok(false),
        }
    }

    async fn release(&self, key: &Text, id: &Text) -> Result<bool> {
        let mut entries = self.entries();
        let held = entries.held_by(key, id).is_some();
        if held {
            entries.by_key.remove(key);
        }
        Ok(held)
    }

    async fn extend(&self, key: &Text, id: &Text, milliseconds: f64) -> Result<bool> {
        let mut entries = self.entries();
        let Some(entry) = entries.held_by(key, id) else { return Ok(false) };
        if milliseconds.fract() != 0.0 || milliseconds.abs() > i64::MAX as f64 {
            return Err(Error::Redis {
                code: "ERR".into(),
                message: "value is not an integer or out of range".into(),
            });
        }
        if milliseconds > 0.0 {
            entry.ends = after(Duration::from_millis(milliseconds as u64));
        } else {
            entries.by_key.remove(key);
        }
        Ok(true)
    }

    async fn read(&self, key: &Text) -> Result<Option<Holder>> {
        let mut entries = self.entries();
        Ok(entries
            .get(key)
            .map(|entry| Holder { id: entry.id.to_string(), owner: Some(entry.owner.to_string()) }))
    }

    fn is_connected(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_free_again_at_the_end_of_its_ttl() {
        let memory = Memory::default();
        assert!(memory.acquire(&"k".into(), &"a".into(), &"".into(), TTL).await.unwrap());

        tokio::time::advance(TTL - Duration::from_millis(1)).await;
        assert!(!memory.acquire(&"k".into(), &"b".into(), &"".into(), TTL).await.unwrap());
        tokio::time::advance(Duration::from_millis(1)).await;

        assert_eq!(memory.read(&"k".into()).await.unwrap(), None);
        assert!(memory.acquire(&"k".into(), &"b".into(), &"".into(), TTL).await.unwrap());
        assert!(
            !memory.release(&"k".into(), &"a".into()).await.unwrap(),
            "the first holder lost it"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_store_outlives_its_users_while_a_lock_in_it_lives() {
        Memory::named("outlives").acquire(&"k".into(), &"a".into(), &"".into(), TTL).await.unwrap();
        for number in 0..1000 {
            Memory::named(&format!("outlives-{number}"));
        }

        assert!(Memory::named("outlives").read(&"k".into()).await.unwrap().is_some());
        assert!(NAMED.lock().unwrap().by_name.len() < 200);
    }

    #[tokio::test(start_paused = true)]
    async fn ended_locks_do_not_pile_up() {
        let memory = Memory::default();
        for round in 0..100 {
            for key in 0..100 {
                let key = format!("{round}:{key}").into();
                memory
                    .acquire(&key, &"a".into(), &"".into(), Duration::from_millis(1))
                    .await
                    .unwrap();
            }
            tokio::time::advance(Duration::from_millis(2)).await;
        }

        assert!(memory.entries().by_key.len() <= 200);
    }
}
