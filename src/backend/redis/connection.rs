//! One connection to one server: opened at the first step, shared by all, replaced when it breaks.
//!
//! Steps that are ready together leave in one write, up to 64 of them in one script. Nothing is
//! kept for later: a step that cannot be sent fails, and the caller decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::Value;
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::link::Link;
use super::script;
use super::settings::Settings;
use super::step::{self, Action, Step};
use crate::error::{Cause, Error, Result};

/// The shortest time between two tries to connect, so that a server that is down is not
/// hammered, however many callers wait for it.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// The most steps that leave in one write: bounds the memory of a burst.
const MOST_TOGETHER: usize = 1024;

/// The most steps one script carries out: bounds how long other clients wait for it, at about a
/// microsecond a step.
const MOST_IN_A_SCRIPT: usize = 64;

/// A connection that is made when it is needed. Dropping it closes it once the steps that are
/// under way are answered.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    steps: OnceLock<mpsc::UnboundedSender<Pending>>,
    connected: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Pending {
    step: Step,
    answer: oneshot::Sender<Result<Value>>,
}

impl Connection {
    /// A connection with `settings`; an error names what cannot be used in them.
    pub fn new(settings: Settings) -> Result<Self> {
        let tls = match &settings.tls {
            Some(tls) => Some(Arc::new(tls.client_config()?)),
            None => None,
        };
        Ok(Connection { settings, tls, steps: OnceLock::new(), connected: Arc::default() })
    }

    /// Sends `step` and returns the server's reply to it.
    pub async fn ask(&self, step: Step) -> Result<Value> {
        let (answer, answered) = oneshot::channel();
        // The worker ends only with this connection, and answers before it does.
        let _ = self.steps.get_or_init(|| self.start()).send(Pending { step, answer });
        answered.await.unwrap_or_else(|_| Err(Error::Unknown(Cause::new("the connection ended"))))
    }

    /// Whether there is a connection now.
    pub fn is_open(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn start(&self) -> mpsc::UnboundedSender<Pending> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let worker = Worker {
            settings: self.settings.clone(),
            tls: self.tls.clone(),
            connected: self.connected.clone(),
            link: None,
            not_before: Instant::now(),
        };
        tokio::spawn(worker.run(receiver));
        sender
    }
}

/// Sends what callers hand in, over a link it opens and replaces.
struct Worker {
    settings: Settings,
    tls: Option<Arc<ClientConfig>>,
    connected: Arc<AtomicBool>,
    link: Option<Link>,
    not_before: Instant,
}

impl Worker {
    async fn run(mut self, mut steps: mpsc::UnboundedReceiver<Pending>) {
        let mut batch = Vec::new();
        while steps.recv_many(&mut batch, MOST_TOGETHER).await > 0 {
            let link = self.link().await;
            // What arrived while the link was opened shares its fate.
            let most = if link.is_ok() { MOST_TOGETHER } else { usize::MAX };
            while batch.len() < most
                && let Ok(pending) = steps.try_recv()
            {
                batch.push(pending);
            }
            // Who gave up in the meantime must not be granted anything.
            batch.retain(|pending| !pending.answer.is_closed());
            let batch = std::mem::take(&mut batch);
            match link {
                Ok(link) => {
                    tokio::spawn(send(link, batch, self.settings.command_timeout));
                }
                Err(error) => fail(batch, &error),
            }
        }
    }

    /// The link that is open, or a new one.
    async fn link(&mut self) -> Result<Link> {
        if let Some(link) = &self.link
            && link.is_open()
        {
            return Ok(link.clone());
        }
        self.link = None;
        self.connected.store(false, Ordering::Relaxed);
        sleep_until(self.not_before).await;
        let limit = self.settings.connect_timeout;
        let opened = timeout(limit, Link::open(&self.settings, self.tls.as_ref())).await;
        self.not_before = Instant::now() + BETWEEN_TRIES;
        let link = opened.unwrap_or_else(|_| Err(self.settings.no_connection_within(limit)))?;
        self.connected.store(true, Ordering::Relaxed);
        self.link = Some(link.clone());
        Ok(link)
    }
}

/// Sends the steps in one write, a few to a script, and hands out their answers.
async fn send(link: Link, steps: Vec<Pending>, limit: Duration) {
    let mut batches = Vec::new();
    let mut rest = steps.into_iter();
    loop {
        let batch: Vec<Pending> = rest.by_ref().take(MOST_IN_A_SCRIPT).collect();
        if batch.is_empty() {
            break;
        }
        batches.push(batch);
    }
    let mut in_full = link.sends_in_full();
    while !batches.is_empty() {
        let mut pipeline = redis::Pipeline::with_capacity(batches.len());
        for batch in &batches {
            pipeline.add_command(match lone_look(batch) {
                Some(key) => script::look(key),
                None => script::command(batch.iter().map(|one| &one.step), in_full),
            });
        }
        let replies = match link.ask(&pipeline, limit).await {
            Ok(replies) => replies,
            Err(cause) => return fail(batches.into_iter().flatten(), &Error::Unknown(cause)),
        };
        let mut again = Vec::new();
        for (batch, reply) in batches.into_iter().zip(replies) {
            if lone_look(&batch).is_some() {
                hand_out(&link, batch, vec![step::reply(reply)]);
                continue;
            }
            match step::answers(reply, batch.len()) {
                Ok(answers) => hand_out(&link, batch, answers),
                // The server knows the script once it was sent in full.
                Err(Error::Redis { code, .. }) if code == "NOSCRIPT" && !in_full => {
                    again.push(batch);
                }
                // A user with the rights version 2 needed may send scripts in full only.
                Err(Error::Redis { code, message })
                    if code == "NOPERM" && message.contains("evalsha") && !in_full =>
                {
                    link.send_in_full();
                    again.push(batch);
                }
                // One key the user must not touch is no reason to refuse the others.
                Err(Error::Redis { .. }) if batch.len() > 1 => {
                    again.extend(batch.into_iter().map(|one| vec![one]));
                }
                Err(error) => fail(batch, &error),
            }
        }
        in_full = true;
        // What was given up meanwhile has been undone already: it must not happen after that.
        for batch in &mut again {
            batch.retain(|pending| !pending.answer.is_closed());
        }
        again.retain(|batch| !batch.is_empty());
        batches = again;
    }
}

/// The key of a batch that only looks who holds it, which takes no script.
fn lone_look(batch: &[Pending]) -> Option<&str> {
    match batch {
        [Pending { step: Step { key, action: Action::Read }, .. }] => Some(key),
        _ => None,
    }
}

fn hand_out(link: &Link, batch: Vec<Pending>, answers: Vec<Result<Value>>) {
    for (pending, answer) in batch.into_iter().zip(answers) {
        if matches!(&answer, Err(Error::Redis { code, .. }) if code == "READONLY") {
            // The primary became a replica: the next step looks for it anew.
            link.close();
        }
        // A caller that is gone needs no answer.
        let _ = pending.answer.send(answer);
    }
}

fn fail(steps: impl IntoIterator<Item = Pending>, error: &Error) {
    for pending in steps {
        let _ = pending.answer.send(Err(error.clone()));
    }
}
