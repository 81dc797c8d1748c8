//! One process's way to the store: what it loses, delays and brings.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_lock::backend::memory::Client;
use dist_lock::backend::{Message, Messages, Text};
use dist_lock::{Cause, Error, Result};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Fact, Lie, Network, Step, lock};

/// A step that was not answered for this long failed.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// One process's way to the store. Cloning is shallow.
#[derive(Clone)]
pub struct Process {
    pub(super) network: Arc<Network>,
    number: usize,
    pub(super) client: Arc<Client>,
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

fn no_earlier(at: Instant, than: &mut Option<Instant>) -> Instant {
    let at = than.map_or(at, |than| at.max(than));
    *than = Some(at);
    at
}

impl Process {
    pub(super) fn new(network: &Arc<Network>, number: usize) -> Self {
        Process {
            network: network.clone(),
            number,
            client: Arc::new(network.memory.clone().client()),
            line: Arc::default(),
            epoch: Arc::new(watch::Sender::new(0)),
        }
    }

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

    pub(super) fn break_connection(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
        let mut line = lock(&self.line);
        (line.last_request, line.last_reply) = (None, None);
    }

    pub(super) fn disturbed(&self, until: Instant) {
        self.network.audit.disturbed(self.number, until);
    }

    pub(super) fn told(&self) -> Option<Message> {
        lock(&self.line).at_store.as_mut()?.try_recv().ok()
    }

    /// Begins a subscription, whose end at the store is given.
    pub(super) fn listen(&self, at_store: Messages) -> Messages {
        let (listener, messages) = unbounded_channel();
        let mut line = lock(&self.line);
        line.at_store = Some(at_store);
        line.at_process = Some(listener);
        line.last_message = None;
        drop(line);
        self.disturbed(Instant::now());
        messages
    }

    /// Brings a message to the process, if it gets there.
    pub(super) fn carry(&self, message: Message) {
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

    pub(super) async fn stalled(&self) {
        loop {
            let until = lock(&self.line).stalled_until;
            match until {
                Some(until) if Instant::now() < until => sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Sends a step on its way and waits for what comes back.
    pub(super) async fn ask<T: Send + 'static>(
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

    pub(super) fn lies(&self, lie: Lie) -> bool {
        self.network.lie == Some(lie)
    }
}
