//! One memory store and the network between it and several processes, which loses, delays and
//! repeats what it carries. Everything the store does goes past an [`Audit`].

mod audit;
mod backend;
mod process;
mod weather;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dist_lock::backend::memory::Memory;
use dist_lock::backend::{Handed, Message};
use tokio::time::Instant;

use super::chance::Chance;
pub use audit::{Audit, Fact, Step, Unaudited};
pub use process::Process;
pub use weather::{Lie, Weather};

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
        let process = Process::new(self, processes.len());
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
