//! Keeps leases alive, and says when one is over: one task for all locks of a [`crate::Locker`]. Where
//! another server took over it asks for each lock whether it is known there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::time::sleep;

use crate::backend::{Backend, Text, Waiter};
use crate::claim;
use crate::error::Result;
use crate::holds::{Due, End, Holds};
use crate::notice::{self, Notice};
use crate::waiting::Waiting;

/// While something is due, the clock is looked at this often: a timer does not count the time that
/// the machine slept.
const LOOK: Duration = Duration::from_secs(1);

/// The pause before a server that took over is asked again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Looks after `holds` for as long as it is polled.
pub async fn run<B: Backend>(holds: Arc<Holds>, waiting: Arc<Waiting<B>>) {
    let mut told = FuturesUnordered::new();
    let mut doubted = FuturesUnordered::new();
    loop {
        for due in holds.take_due() {
            if let Some(max_hold) = due.ends_with {
                notice::tell(Notice::MaxHold { key: due.key.clone(), max_hold });
            }
            told.push(tell(&waiting, due));
        }
        let next = holds.next_due().map(|next| next.left().min(LOOK));
        select! {
            () = pause(next) => {}
            () = holds.changed() => {}
            () = waiting.backend().moved() => {
                let believed = holds.believed().into_iter();
                doubted.extend(believed.map(|(key, id)| is_known(&holds, &waiting, key, id)));
            }
            Some((id, is_known)) = doubted.next() => if !is_known {
                holds.forgotten(&id);
            },
            Some((due, answer)) = told.next() => match answer {
                Ok(true) if holds.renewed(&due) => {}
                // Nobody believes in it any more.
                Ok(true) => give_back(&waiting, due),
                Ok(false) => holds.end(&due.id, End::Taken),
                // Nothing but that is final: it may work again before the lease is over.
                Err(_) => holds.failed(&due),
            },
        }
    }
}

async fn tell<B: Backend>(waiting: &Waiting<B>, due: Due) -> (Due, Result<bool>) {
    let milliseconds = due.ttl.as_millis() as f64;
    let answer = waiting.extend(&due.key, &due.id, milliseconds).await;
    (due, answer)
}

/// Whether the store knows a lock, or is not asked any more.
async fn is_known<B: Backend>(
    holds: &Holds,
    waiting: &Waiting<B>,
    key: Text,
    id: Text,
) -> (Text, bool) {
    while !holds.remaining(&id).is_zero() {
        match waiting.backend().read(&key).await {
            Ok(holder) => return (id.clone(), holder.is_some_and(|holder| *holder.id == *id)),
            Err(_) => sleep(BETWEEN_LOOKS).await,
        }
    }
    (id, true)
}

fn give_back<B: Backend>(waiting: &Arc<Waiting<B>>, Due { id, key, ttl, .. }: Due) {
    let waiter = Waiter::only(id, ttl);
    claim::spawn_undo(waiting.clone(), key, waiter, false);
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
