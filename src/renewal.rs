//! Keeps leases alive, and says when one is over: one task for all locks of a [`crate::Locker`]. Where
//! another server took over it asks for each lock whether it is known there; and where messages may have been
//! missed, for each whose end somebody waits to hear of.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::time::{Instant, sleep};

use crate::backend::{Backend, Sharing, Text, Waiter};
use crate::claim;
use crate::error::Result;
use crate::holds::{Due, End, Holds, TOGETHER};
use crate::notice::{self, Notice};
use crate::pace::Pace;
use crate::waiting::Waiting;

/// While something is due, the clock is looked at this often: a timer does not count the time that
/// the machine slept.
const LOOK: Duration = Duration::from_secs(1);

/// The pause before a server that took over is asked again, and how many locks it is asked for at a time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const MOST_LOOKS: usize = 1024;

/// Looks after `holds` for as long as it is polled.
pub async fn run<B: Backend>(holds: Arc<Holds>, waiting: Arc<Waiting<B>>) {
    let mut pace = Pace::default();
    let mut told = FuturesUnordered::new();
    let mut doubted = VecDeque::new();
    let mut looks = FuturesUnordered::new();
    loop {
        loop {
            let due = holds.take_due(pace.room().min(TOGETHER));
            if due.is_empty() {
                break;
            }
            let number = pace.send(due.len());
            let renewals = due.into_iter().map(|due| Box::pin(renew(&holds, &waiting, due)));
            told.push(Together { number, renewals: renewals.collect() }.some_answered());
        }
        doubted.extend(by_key(holds.take_doubted()));
        while looks.len() < MOST_LOOKS
            && let Some(doubt) = doubted.pop_front()
        {
            looks.push(unknown(&holds, &waiting, doubt));
        }
        let look = holds.next_due().map(|next| next.left().min(LOOK));
        let room = pace.next_room().map(|room| room - Instant::now());
        select! {
            () = pause([look, room].into_iter().flatten().min()) => {}
            () = holds.changed() => {}
            () = waiting.backend().moved() => doubted.extend(by_key(holds.believed())),
            () = waiting.subscription.missed() => doubted.extend(by_key(holds.watched())),
            Some(unknown) = looks.next() => unknown.iter().for_each(|id| holds.forgotten(id)),
            Some(together) = told.next() => {
                pace.answered(together.number, together.renewals.len());
                if !together.renewals.is_empty() {
                    told.push(together.some_answered());
                }
            }
        }
    }
}

/// Renewals that left together, and have no answer yet.
struct Together<F> {
    number: u64,
    renewals: Vec<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Together<F> {
    /// Waits until some of them were answered: in general all, by one reply.
    async fn some_answered(mut self) -> Self {
        let before = self.renewals.len();
        poll_fn(|context| {
            self.renewals.retain_mut(|renewal| renewal.as_mut().poll(context).is_pending());
            if self.renewals.len() < before { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self
    }
}

async fn renew<B: Backend>(holds: &Holds, waiting: &Arc<Waiting<B>>, due: Due) {
    if let Some(max_hold) = due.ends_with {
        notice::tell(Notice::MaxHold { key: due.key.clone(), max_hold });
    }
    let milliseconds = due.ttl.as_millis() as f64;
    match waiting.extend(&due.key, &due.id, milliseconds, due.sent).await {
        Ok(true) if holds.renewed(&due) => {}
        // Nobody believes in it any more.
        Ok(true) => {
            let late = holds.of(&due.key, &due.id).late();
            claim::spawn_give_back(waiting, &due.key, Waiter::only(due.id, due.ttl), late);
        }
        Ok(false) => holds.end(&due.id, End::Taken),
        // Nothing but that is final: it may work again before the lease is over.
        Err(_) => holds.failed(&due),
    }
}

/// The ids of each key: they are asked for together, since many may share it.
fn by_key(locks: Vec<(Text, Text)>) -> impl Iterator<Item = (Text, Vec<Text>)> {
    let mut ids = HashMap::<Text, Vec<Text>>::new();
    locks.into_iter().for_each(|(key, id)| ids.entry(key).or_default().push(id));
    ids.into_iter()
}

/// The ids that the store does not know as holders of their key; none, if they are over before it says so.
async fn unknown<B: Backend>(
    holds: &Holds,
    waiting: &Waiting<B>,
    (key, mut ids): (Text, Vec<Text>),
) -> Vec<Text> {
    while ids.iter().any(|id| !holds.remaining(id).is_zero()) {
        match holders(waiting.backend(), &key).await {
            Ok(known) => {
                ids.retain(|id| !known.contains(&**id));
                return ids;
            }
            Err(_) => sleep(BETWEEN_LOOKS).await,
        }
    }
    Vec::new()
}

/// The ids of all who hold a key.
async fn holders<B: Backend>(backend: &B, key: &Text) -> Result<HashSet<String>> {
    let holders = match backend.read(key).await? {
        // One of several was named.
        Some(holder) if holder.sharing != Sharing::Exclusive => {
            let listed = backend.list(std::slice::from_ref(key)).await?;
            listed.into_iter().flat_map(|listing| listing.holders).collect()
        }
        one => Vec::from_iter(one),
    };
    Ok(holders.into_iter().map(|holder| holder.id).collect())
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
