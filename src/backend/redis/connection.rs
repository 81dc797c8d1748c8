//! The ways to one server: a connection of the tokio thread, opened at the first step that needs
//! it, shared by all and replaced when it breaks; and the direct links of threads that have one.
//!
//! Steps that are ready together leave in one write, up to 64 of them in one script. Nothing is
//! kept for later: a step that cannot be sent fails, and the caller decides.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use redis::Value;
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Batch, Pending};
use super::direct::{self, Direct};
use super::link::Link;
use super::opener::{NextTry, Opener};
use super::script;
use super::step::{Action, Step};
use crate::backend::Waiter;
use crate::error::{Cause, Error, Result};
use crate::mutex::lock;

/// The most steps that leave in one write: bounds the memory of a burst.
const MOST_TOGETHER: usize = 1024;

/// A connection that is made when it is needed. Dropping it closes it once the steps that are
/// under way are answered.
#[derive(Debug)]
pub struct Connection {
    opener: Arc<Opener>,
    steps: OnceLock<mpsc::UnboundedSender<Pending>>,
    connected: Arc<AtomicBool>,
    unanswered: Arc<Unanswered>,
    directs: Mutex<Vec<Weak<Direct>>>,
}

impl Connection {
    /// A connection that `opener` opens.
    pub fn new(opener: Arc<Opener>) -> Self {
        Connection {
            opener,
            steps: OnceLock::new(),
            connected: Arc::default(),
            unanswered: Arc::default(),
            directs: Mutex::default(),
        }
    }

    /// Sends `step`, now; the future is the server's reply to it.
    ///
    /// No async function, and neither are those that call it: each would keep the step for as long as
    /// it waits.
    pub fn ask(&self, step: Step) -> impl Future<Output = Result<Value>> + Send {
        let (answer, answered) = oneshot::channel();
        let pending = direct::put(Pending { step, answer }).and_then(|step| self.follow(step));
        let counted = pending.map(|pending| {
            let counted = Counted::new(&self.unanswered, pending.step.joins());
            // The worker ends only with this connection, and answers before it does.
            let _ = self.steps.get_or_init(|| self.start()).send(pending);
            counted
        });
        async move {
            let _counted = counted;
            let ended = || Err(Error::Unknown(Cause::new("the connection ended")));
            answered.await.unwrap_or_else(|_| ended())
        }
    }

    /// What makes connections to the same server.
    pub fn opener(&self) -> &Arc<Opener> {
        &self.opener
    }

    /// Whether there is a connection now.
    pub fn is_open(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
            || self.directs().iter().any(|direct| direct.is_open())
    }

    /// A link of its own for the thread that calls; `None` where there can be none.
    pub fn direct(&self, opened: direct::Opened) -> Option<Arc<Direct>> {
        // Proofs make a connection wait.
        let waits = self.opener.replication().is_some();
        if !cfg!(unix) || self.opener.is_encrypted() || waits {
            return None;
        }
        let direct = Direct::new(self.opener.clone(), self.unanswered.clone(), opened);
        let mut directs = lock(&self.directs);
        directs.retain(|direct| direct.strong_count() > 0);
        directs.push(Arc::downgrade(&direct));
        Some(direct)
    }

    /// Puts a release on the direct link where its acquire is under way, or returns it.
    fn follow(&self, pending: Pending) -> Option<Pending> {
        let id = match &pending.step.action {
            Action::Release { id } | Action::Abandon { waiter: Waiter { id, .. } } => id.clone(),
            _ => return Some(pending),
        };
        self.directs().iter().try_fold(pending, |pending, direct| direct.follow(&id, pending))
    }

    fn directs(&self) -> Vec<Arc<Direct>> {
        let directs = lock(&self.directs);
        directs.iter().filter_map(Weak::upgrade).collect()
    }

    fn start(&self) -> mpsc::UnboundedSender<Pending> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let worker = Worker {
            opener: self.opener.clone(),
            connected: self.connected.clone(),
            link: None,
            next_try: NextTry::default(),
        };
        tokio::spawn(worker.run(receiver));
        sender
    }
}

/// The steps that are under way on the tokio thread's connection.
#[derive(Debug, Default)]
pub struct Unanswered {
    steps: AtomicUsize,
    /// Those among them that may join the queue.
    joining: AtomicUsize,
}

impl Unanswered {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.steps.load(Ordering::SeqCst) > 0
    }

    /// Whether there are any that may join the queue.
    pub fn any_joins(&self) -> bool {
        self.joining.load(Ordering::SeqCst) > 0
    }
}

/// One of the steps that are counted.
struct Counted<'a> {
    unanswered: &'a Unanswered,
    joins: bool,
}

impl<'a> Counted<'a> {
    fn new(unanswered: &'a Unanswered, joins: bool) -> Self {
        unanswered.steps.fetch_add(1, Ordering::SeqCst);
        unanswered.joining.fetch_add(usize::from(joins), Ordering::SeqCst);
        Counted { unanswered, joins }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.unanswered.joining.fetch_sub(usize::from(self.joins), Ordering::SeqCst);
        self.unanswered.steps.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends what callers hand in, over a link it opens and replaces.
struct Worker {
    opener: Arc<Opener>,
    connected: Arc<AtomicBool>,
    link: Option<Link>,
    next_try: NextTry,
}

impl Worker {
    async fn run(mut self, mut steps: mpsc::UnboundedReceiver<Pending>) {
        let mut together = Vec::new();
        while steps.recv_many(&mut together, MOST_TOGETHER).await > 0 {
            let link = self.link().await;
            // What arrived while the link was opened shares its fate.
            let most = if link.is_ok() { MOST_TOGETHER } else { usize::MAX };
            while together.len() < most
                && let Ok(pending) = steps.try_recv()
            {
                together.push(pending);
            }
            // Who gave up in the meantime must not be granted anything.
            together.retain(|pending| !pending.answer.is_closed());
            let together = std::mem::take(&mut together);
            match link {
                Ok(link) => {
                    tokio::spawn(send(link, self.opener.clone(), together));
                }
                Err(error) => batch::fail(together, &error),
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
        if self.link.take().is_some() {
            self.opener.reach().lost("the connection broke");
        }
        self.connected.store(false, Ordering::Relaxed);
        let link = self.opener.link(&mut self.next_try).await?;
        self.connected.store(true, Ordering::Relaxed);
        self.link = Some(link.clone());
        Ok(link)
    }
}

/// Sends the steps in one write, a few to a script, and hands out their answers.
async fn send(link: Link, opener: Arc<Opener>, steps: Vec<Pending>) {
    let mut batches = Batch::of(steps);
    let mut in_full = link.sends_in_full();
    let mut asks = batches.iter().any(Batch::waits) && opener.server().asks_for_version_2();
    while !batches.is_empty() {
        let mut pipeline = redis::Pipeline::with_capacity(batches.len());
        for batch in &mut batches {
            if batch.is_asking() {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(batch.command(opener.dialect(in_full)));
        }
        let proof = opener.replication().filter(|_| batches.iter().any(Batch::grants));
        let mut limit = opener.command_timeout();
        if let Some(proof) = proof {
            pipeline.add_command(proof.wait());
            limit += proof.timeout;
        }
        if asks {
            pipeline.add_command(script::find_version_2());
        }
        let mut replies = match link.ask(&pipeline, limit).await {
            Ok(replies) => replies,
            Err(cause) => {
                let error = Error::Unknown(cause);
                return batches.into_iter().for_each(|batch| batch.fail(&error));
            }
        };
        if std::mem::take(&mut asks)
            && let Some(reply) = replies.pop()
        {
            opener.server().found_version_2(&reply);
        }
        let proven = match (proof, proof.and_then(|_| replies.pop())) {
            (Some(proof), Some(reply)) => proof.check(reply),
            _ => Ok(()),
        };
        let mut again = Vec::new();
        let mut replies = replies.into_iter();
        for batch in batches {
            if batch.is_asking() {
                replies.next();
            }
            let Some(reply) = replies.next() else { break };
            let settled = batch.settle(reply, in_full, opener.finds_primary(), &proven);
            if settled.in_full_only {
                link.send_in_full();
            }
            if settled.is_replica {
                link.give_up();
            }
            again.extend(settled.again);
        }
        in_full = true;
        batches = again;
    }
    if let Some(question) = opener.server().eviction().question() {
        let mut pipeline = redis::Pipeline::new();
        pipeline.add_command(question);
        if let Ok(replies) = link.ask(&pipeline, opener.command_timeout()).await
            && let Some(reply) = replies.first()
        {
            opener.server().eviction().found(reply, opener.target());
        }
    }
}
