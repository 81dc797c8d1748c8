//! The Redis store on a real server.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dist_lock::backend::redis::settings::{Credentials, Login};
use dist_lock::backend::{Acquired, Memory, Redis, Released, Sharing, Text, Ticket, Waiter};
use dist_lock::{Backend, Error, Holder};
use support::server::Server;
use support::{takes, waiter};

const TTL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_lock_lies_in_redis_as_version_2_wrote_it() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();

    let ann = Waiter { owner: "ann".into(), ..waiter("c1", TTL) };
    redis.acquire(&"lock:a".into(), &ann, false).await.unwrap();

    let fields: Vec<String> = server.ask(&["HGETALL", "lock:a"]);
    let left: u64 = server.ask(&["PTTL", "lock:a"]);
    assert_eq!(fields[..5], ["id", "c1", "owner", "ann", "fence"]);
    assert!((1..=30_000).contains(&left), "{left} ms left");
}

#[tokio::test]
async fn a_repeated_acquire_renews_the_lock_instead_of_being_locked_out() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();
    takes(&redis, "k", "c1", Duration::from_secs(5)).await;

    assert!(takes(&redis, "k", "c1", TTL).await);

    let left: u64 = server.ask(&["PTTL", "k"]);
    assert!(left > 5_000, "{left} ms left");
}

#[tokio::test]
async fn a_key_of_another_type_is_taken_and_cannot_be_released() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();
    server.ask::<()>(&["SET", "k", "text"]);

    assert!(!takes(&redis, "k", "c1", TTL).await);
    let refusal = redis.release(&"k".into(), &"c1".into()).await.unwrap_err();

    assert!(matches!(&refusal, Error::Redis { code, .. } if code == "WRONGTYPE"), "{refusal}");
}

#[tokio::test]
async fn scripts_the_server_forgot_are_sent_again() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();
    takes(&redis, "k", "c1", TTL).await;

    server.ask::<()>(&["SCRIPT", "FLUSH"]);

    assert!(!takes(&redis, "k", "c2", TTL).await);
    assert_eq!(redis.release(&"k".into(), &"c1".into()).await, Ok(Released::Yes));
}

#[tokio::test]
async fn all_callers_share_one_connection_and_a_burst_is_answered_in_full() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();

    let keys: Vec<Text> = (0..3000).map(|number| format!("k{number}").into()).collect();
    let id = waiter("c1", TTL);
    let answers =
        futures_util::future::join_all(keys.iter().map(|key| redis.acquire(key, &id, false)));
    assert!(answers.await.into_iter().all(|answer| matches!(answer, Ok(Acquired::Held(Some(_))))));

    let clients: String = server.ask(&["CLIENT", "LIST"]);
    assert_eq!(clients.matches("name=dist-lock ").count(), 1, "{clients}");
    let size: u64 = server.ask(&["DBSIZE"]);
    assert_eq!(size, 3001, "the locks and the last token");
}

#[tokio::test]
async fn a_connection_the_server_closed_is_replaced() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();
    takes(&redis, "k", "c1", TTL).await;

    server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal"]);

    // The step that met the broken connection may fail; none after it does.
    let _ = redis.read(&"k".into()).await;
    assert_eq!(redis.release(&"k".into(), &"c1".into()).await, Ok(Released::Yes));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start();
    let settings = dist_lock::backend::redis::Settings {
        command_timeout: Duration::from_secs(1),
        ..server.settings()
    };
    let redis = Redis::new(settings).unwrap();
    redis.read(&"k".into()).await.unwrap();

    server.ask::<()>(&["CLIENT", "PAUSE", "60000"]);
    let error = redis.read(&"k".into()).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "no answer from Redis, the outcome is unknown: no reply within 1000 ms"
    );
}

/// A user who may do no more than that.
fn user(server: &Server, rules: &[&str]) -> Redis {
    server.ask::<()>(&[&["ACL", "SETUSER", "ada", "reset", "on", ">secret"], rules].concat());
    let login = Login { username: Some("ada".into()), password: "secret".into() };
    let credentials = Credentials::Fixed(login);
    Redis::new(dist_lock::backend::redis::Settings { credentials, ..server.settings() }).unwrap()
}

#[tokio::test]
async fn without_a_queue_an_acquire_behind_an_extension_shortens_nothing_either() {
    let server = Server::start();
    let of_version_2 = ["~*", "+eval", "+evalsha", "+exists", "+hmset", "+hget", "+pexpire"];
    for (may_look, expected) in [(true, 90), (false, 30)] {
        let looks = if may_look { "+pttl" } else { "-pttl" };
        let redis = user(&server, &[&of_version_2[..], &[looks]].concat());
        let (key, asks) = (Text::from(looks), waiter("c1", TTL));
        assert_eq!(redis.acquire(&key, &asks, false).await, Ok(Acquired::Held(None)));
        assert_eq!(redis.extend(&key, &asks.id, 90_000.0).await, Ok(Released::Yes));

        assert_eq!(redis.acquire(&key, &asks, false).await, Ok(Acquired::Held(None)));

        let left: f64 = server.ask(&["PTTL", looks]);
        assert_eq!((left / 1000.0).round(), f64::from(expected));
    }
}

#[tokio::test]
async fn a_user_who_may_only_look_can_look() {
    let server = Server::start();
    let redis = user(&server, &["~lock:*", "+hmget"]);
    server.ask::<u64>(&["HSET", "lock:a", "id", "c1", "owner", "ann"]);

    let [alone, other] = ["lock:a", "lock:b"].map(Text::from);
    let together = futures_util::future::join(redis.read(&alone), redis.read(&other)).await;
    let owner = Some("ann".into());
    let (token, left, sharing) = (None, None, Sharing::Exclusive);
    let holder = Holder { id: "c1".into(), owner, token, left, sharing };

    assert_eq!(together, (Ok(Some(holder.clone())), Ok(None)));
    assert_eq!(redis.read(&alone).await, Ok(Some(holder)));
}

#[tokio::test]
async fn each_lock_costs_one_command_to_take_and_one_to_free() {
    let server = Server::start();
    let redis = Redis::new(server.settings()).unwrap();
    // The first script goes with its text.
    redis.release(&"k".into(), &"none".into()).await.unwrap();
    server.ask::<()>(&["CONFIG", "RESETSTAT"]);

    takes(&redis, "k", "c1", TTL).await;
    redis.release(&"k".into(), &"c1".into()).await.unwrap();

    let stats: String = server.ask(&["INFO", "commandstats"]);
    let calls: HashMap<&str, &str> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
        .map(|(name, rest)| (name, rest.split(',').next().unwrap_or_default()))
        .collect();
    assert_eq!(calls.get("evalsha"), Some(&"2"));
    assert_eq!(calls.get("eval"), None);
}

async fn ticket(store: &impl Backend, id: &str, wait: bool) -> Option<Ticket> {
    match store.acquire(&"k".into(), &waiter(id, TTL), wait).await.unwrap() {
        Acquired::Waits(_, ticket) => ticket,
        _ => None,
    }
}

async fn serves_by_ticket(store: &impl Backend) -> bool {
    assert!(takes(store, "k", "holder", TTL).await);
    let (first, second) = (ticket(store, "a", true).await, ticket(store, "b", true).await);
    let again = [ticket(store, "b", true).await, ticket(store, "a", true).await];
    let third = ticket(store, "c", true).await;
    assert_eq!(ticket(store, "d", false).await, None, "it does not wait");
    first.is_some() && first < second && second < third && again == [second, first]
}

#[tokio::test]
async fn a_ticket_says_who_came_before_whom_also_to_one_who_asks_again_and_in_memory_too() {
    let server = Server::start();

    assert!(serves_by_ticket(&Redis::new(server.settings()).unwrap()).await);
    assert!(serves_by_ticket(&Arc::<Memory>::default().client()).await);
}
