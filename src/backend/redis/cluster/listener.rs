//! The messages of all nodes as one stream.
//!
//! A message is published on the node that has the lock and heard from all of them, but only those
//! who hear it from that very node count as hearing it (`tell` in `src/lua/queue/queue.lua`). So
//! there is a subscription to each.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::backend::redis::messages;
use crate::backend::redis::opener::Opener;
use crate::backend::{Handed, Message, Text, Token};
use crate::error::{Cause, Error, Result};
use crate::mutex::lock;

/// The pause after the first failure to subscribe; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The same grant comes from all nodes within moments; this many others may come in between.
const REMEMBERED: usize = 1024;

/// Where the messages of all nodes go.
#[derive(Debug)]
pub struct Ear {
    listener: UnboundedSender<Message>,
    heard: Mutex<Heard>,
}

/// The grants that were heard of last. Two of different slots may have the same token.
#[derive(Debug, Default)]
struct Heard {
    in_order: VecDeque<(Text, Token)>,
    all: HashSet<(Text, Token)>,
}

impl Ear {
    /// Hands on messages to `listener`.
    pub fn new(listener: UnboundedSender<Message>) -> Self {
        Ear { listener, heard: Mutex::default() }
    }

    fn hear(&self, message: Message) {
        let message = match message {
            Message::Granted(_, handed, _) if !self.heard().is_new(&handed) => return,
            // It was heard from any node, also where the one that published it found nobody who hears
            // it there, and gave the lock to the next. And its time is on that node's clock.
            Message::Granted(key, Handed { id, .. }, _) => Message::Named(key, id),
            message => message,
        };
        // That nobody listens any more is seen elsewhere.
        let _ = self.listener.send(message);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }
}

impl Heard {
    fn is_new(&mut self, Handed { id, token }: &Handed) -> bool {
        if !self.all.insert((id.clone(), *token)) {
            return false;
        }
        self.in_order.push_back((id.clone(), *token));
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

/// Listens to one node until it is dropped, and subscribes again when the connection breaks.
#[derive(Debug)]
pub struct Listener {
    state: watch::Receiver<State>,
    /// Those who wait to know it go on in the order they came: `watch` would wake them in none.
    line: tokio::sync::Mutex<()>,
    task: AbortHandle,
}

#[derive(Debug)]
enum State {
    Opening,
    Open,
    Failed(Error),
}

impl Listener {
    /// Listens to the server that `opener` connects to.
    pub fn start(opener: Arc<Opener>, ear: Arc<Ear>) -> Self {
        let (told, state) = watch::channel(State::Opening);
        let task = tokio::spawn(async move {
            let closed = ear.listener.clone();
            select! {
                () = listen(&opener, &ear, &told) => {}
                () = closed.closed() => {}
            }
        });
        Listener { state, line: tokio::sync::Mutex::default(), task: task.abort_handle() }
    }

    /// Waits until it is known whether messages of this node reach us. An error says why not.
    pub async fn hears(&self) -> Result<()> {
        let _turn = self.line.lock().await;
        let mut state = self.state.clone();
        match state.wait_for(|state| !matches!(state, State::Opening)).await.as_deref() {
            Ok(State::Failed(error)) => Err(error.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Unreachable(Cause::new("nobody listens any more"))),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(opener: &Opener, ear: &Ear, told: &watch::Sender<State>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match messages::subscribe(opener).await {
            Ok(mut messages) => {
                pause = FIRST_PAUSE;
                told.send_replace(State::Open);
                // What was told before it is lost.
                ear.hear(Message::Missed);
                while let Some(message) = messages.recv().await {
                    ear.hear(message);
                }
                told.send_replace(State::Opening);
                // The node may be gone: find out.
                ear.hear(Message::Missed);
            }
            Err(error) => {
                told.send_replace(State::Failed(error));
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_grant_that_is_heard_from_several_nodes_is_told_once() {
        let (sender, mut messages) = unbounded_channel();
        let ear = Ear::new(sender);
        let granted = |id: &str, token| {
            let handed = Handed { id: id.into(), token };
            Message::Granted("k".into(), handed, Duration::from_secs(1))
        };

        for (id, token) in [("a", 1), ("a", 1), ("b", 1), ("a", 1), ("a", 2), ("b", 1)] {
            ear.hear(granted(id, token));
        }
        for token in 3..3 * REMEMBERED as Token {
            ear.hear(granted("a", token));
        }

        for id in ["a", "b", "a", "a"] {
            assert_eq!(messages.try_recv(), Ok(Message::Named("k".into(), id.into())));
        }
        assert_eq!(ear.heard.lock().unwrap().all.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn who_waits_to_be_heard_goes_on_in_the_order_they_came_and_before_who_comes_later() {
        let (told, state) = watch::channel(State::Opening);
        let task = tokio::spawn(async {}).abort_handle();
        let listener = Arc::new(Listener { state, line: Default::default(), task });
        let order = Arc::<Mutex<Vec<u32>>>::default();
        let ask = |number| {
            let (listener, order) = (listener.clone(), order.clone());
            tokio::spawn(async move {
                listener.hears().await.unwrap();
                order.lock().unwrap().push(number);
            })
        };
        let waiting: Vec<_> = (0..30).map(ask).collect();
        tokio::task::yield_now().await;

        let late = ask(30);
        told.send_replace(State::Open);

        for asked in waiting {
            asked.await.unwrap();
        }
        late.await.unwrap();
        assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..=30));
    }
}
