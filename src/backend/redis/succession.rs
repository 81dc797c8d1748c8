//! Whether the server is the one it was, and for how long nothing is granted when it is not.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use redis::Value;

use super::settings::Endpoint;
use crate::clock::Moment;
use crate::mutex::lock;

/// The servers that were met one after the other. Another one, or the same without its data, may not
/// know of locks that are held.
#[derive(Debug, Default)]
pub struct Succession(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Identity>,
    settles_until: Option<Moment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    endpoint: Endpoint,
    /// What the server drew when it was started, if it says so.
    run: Option<String>,
}

impl Identity {
    fn is(&self, other: &Identity) -> bool {
        match (&self.run, &other.run) {
            (Some(run), Some(other)) => run == other,
            _ => self.endpoint == other.endpoint,
        }
    }
}

impl Succession {
    /// A connection was made to the server at `endpoint`, which answered `INFO server` with `info`. If
    /// it is another one than before it settles for `settle_time`.
    pub fn met(&self, endpoint: &Endpoint, info: &Value, settle_time: Duration) {
        let met = Identity { endpoint: endpoint.clone(), run: run_of(info) };
        let mut state = self.state();
        if state.last.as_ref().is_some_and(|last| !last.is(&met)) {
            state.settles_until = Some(Moment::now() + settle_time);
        }
        state.last = Some(met);
    }

    /// It took over from another server, and settles for `settle_time`.
    pub fn succeeds(&self, settle_time: Duration) {
        if !settle_time.is_zero() {
            self.state().settles_until = Some(Moment::now() + settle_time);
        }
    }

    /// Until when nothing is to be granted.
    pub fn settles_until(&self) -> Option<Moment> {
        let mut state = self.state();
        if state.settles_until.is_some_and(Moment::is_over) {
            state.settles_until = None;
        }
        state.settles_until
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn run_of(info: &Value) -> Option<String> {
    let Value::BulkString(text) = info else { return None };
    let text = String::from_utf8_lossy(text);
    text.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    fn at(host: &str) -> Endpoint {
        Endpoint::Tcp { host: host.into(), port: 6379, family: None }
    }

    fn run(id: &str) -> Value {
        Value::BulkString(format!("# Server\r\nrun_id:{id}\r\n").into_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_server_need_not_settle_and_another_does_for_its_time() {
        let succession = Succession::default();
        succession.met(&at("a"), &run("1"), TIME);
        succession.met(&at("a"), &run("1"), TIME);
        assert_eq!(succession.settles_until(), None);

        succession.met(&at("b"), &run("2"), TIME);
        assert_eq!(succession.settles_until(), Some(Moment::now() + TIME));
        tokio::time::advance(TIME).await;

        assert_eq!(succession.settles_until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_was_started_again_is_another_and_one_under_another_name_is_not() {
        let settles = |before: (&str, Value), then: (&str, Value)| {
            let succession = Succession::default();
            succession.met(&at(before.0), &before.1, TIME);
            succession.met(&at(then.0), &then.1, TIME);
            succession.settles_until().is_some()
        };

        assert!(settles(("a", run("1")), ("a", run("2"))));
        assert!(!settles(("a", run("1")), ("b", run("1"))));
        // Where it does not say, its address tells.
        assert!(settles(("a", Value::Nil), ("b", run("1"))));
        assert!(!settles(("a", Value::Nil), ("a", Value::Nil)));
    }
}
