//! Keeps leases alive, and says when one is over: one task for all locks of a [`crate::Locker`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::time::sleep;

use crate::backend::{Backend, Waiter};
use crate::claim;
use crate::error::Result;
use crate::holds::{Due, End, Holds};
use crate::waiting::Waiting;

/// While something is due, the clock is looked at this often: a timer does not count the time that
/// the machine slept.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after `holds` for as long as it is polled.
pub async fn run<B: Backend>(holds: Arc<Holds>, waiting: Arc<Waiting<B>>) {
    let mut told = FuturesUnordered::new();
    loop {
        for due in holds.take_due() {
            told.push(tell(&waiting, due));
        }
        let next = holds.next_due().map(|next| next.left().min(LOOK));
        select! {
            () = pause(next) => {}
            () = holds.changed() => {}
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

fn give_back<B: Backend>(waiting: &Arc<Waiting<B>>, Due { id, key, ttl, .. }: Due) {
    let waiter = Waiter { id, owner: "".into(), ttl };
    claim::spawn_undo(waiting.clone(), key, waiter, false);
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
