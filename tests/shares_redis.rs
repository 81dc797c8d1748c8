//! Locks that several hold at once, in a Redis.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::{AcquiredAll, Redis, Sharing, Text, Waiter};
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Locker};
use futures_util::future::join_all;
use support::server::Server;
use support::waiter;
use tokio::time::{sleep, timeout};

const TTL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_millis(50);
const KEY: &str = "lock:k";
const READERS: usize = 1200;

fn locker(server: &Server) -> Arc<Locker<Redis>> {
    Arc::new(Locker::new(Redis::new(server.settings()).unwrap(), PATIENCE))
}

fn asks(sharing: Sharing) -> Acquire {
    let schedule = Schedule::new(DELAY, None, None);
    Acquire { sharing, ..Acquire::new(KEY.into(), "".into(), TTL, schedule) }
}

/// Returns when so many are in the queue.
async fn queued(server: &Server, count: usize) {
    while server.ask::<usize>(&["ZCOUNT", "dist-lock:queue:{lock:k}", "0", "+inf"]) < count {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn hundreds_of_readers_in_two_processes_read_once_a_writer_is_done() {
    let server = Server::start();
    let processes = [locker(&server), locker(&server)];
    let writer = processes[0].acquire(asks(Sharing::Exclusive)).await.unwrap().unwrap();
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            let locker = processes[number % 2].clone();
            tokio::spawn(async move { locker.acquire(asks(Sharing::Shared)).await })
        })
        .collect();
    queued(&server, READERS).await;

    assert!(processes[0].release(&KEY.into(), &writer.id).await.unwrap());

    // With 64 at each beat of two processes it would be more than nine seconds.
    let all = timeout(Duration::from_secs(6), join_all(readers)).await.expect("in a moment");
    let tokens: Vec<_> = all.into_iter().map(|one| one.unwrap().unwrap().unwrap().token).collect();
    assert!(tokens.iter().all(|token| *token > writer.token));
    let listed = processes[1].query("lock:").await.unwrap();
    assert_eq!(listed[0].holders.len(), READERS);
    let oldest = processes[1].read(&KEY.into()).await.unwrap().unwrap();
    assert_eq!(oldest.token, tokens.into_iter().min().unwrap());
}

#[tokio::test]
async fn a_lock_whose_last_share_is_over_is_free_for_those_who_take_several() {
    let server = Server::start();
    let store = Redis::new(server.settings()).unwrap();
    let (key, reader): (Text, Text) = (KEY.into(), "reader".into());
    let sharing = Sharing::Shared;
    let asked = Waiter { sharing, ..waiter(&reader, TTL) };
    store.acquire(&key, &asked, false).await.unwrap();
    let wanted = [(key.clone(), waiter("all", TTL)), ("lock:other".into(), waiter("all", TTL))];
    assert_eq!(store.acquire_all(&wanted).await.unwrap(), AcquiredAll::Taken(0));

    // The key would live on for its first ttl.
    store.extend(&key, &reader, 20.0).await.unwrap();
    sleep(Duration::from_millis(30)).await;

    assert!(matches!(store.acquire_all(&wanted).await.unwrap(), AcquiredAll::Held(_)));
}
