//! Asks sentinels where a primary is, and hears of another as soon as they do.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{Pipeline, Value};
use tokio::select;
use tokio::time::{sleep, timeout};

use super::answer;
use super::greeting;
use super::pushes::Pushes;
use super::settings::{Endpoint, Sentinels};
use super::transport::{self, Encryption, Stream};
use crate::error::{Cause, Error, Result};
use crate::mutex::lock;

/// A sentinel that has not answered for this long is not waited for alone: the next is asked too.
const ALONE: Duration = Duration::from_millis(250);

/// The channel on which sentinels tell of a new primary.
const SWITCHES: &str = "+switch-master";

/// The sentinels of one primary.
#[derive(Debug)]
pub struct Sentinel {
    settings: Sentinels,
    encryption: Option<Encryption>,
    /// How long a sentinel may take to answer that is listened to.
    limit: Duration,
    /// Where they listen, in the order they are asked: one that answered comes first.
    order: Mutex<Vec<Endpoint>>,
}

/// What a sentinel says.
struct Answer {
    sentinel: Endpoint,
    /// Where the primary is, if it knows it.
    primary: Option<Endpoint>,
    stream: Box<dyn Stream>,
}

impl Sentinel {
    /// The sentinels that `settings` name; an error names what cannot be used in them.
    pub fn new(settings: &Sentinels, limit: Duration) -> Result<Self> {
        Ok(Sentinel {
            settings: settings.clone(),
            encryption: Encryption::new(settings.tls.as_ref())?,
            limit,
            order: Mutex::new(settings.endpoints.clone()),
        })
    }

    /// Where the primary is.
    pub async fn find(&self) -> Result<Endpoint> {
        Ok(self.first_answer(false).await?.0)
    }

    /// Where the primary is, and what is [announced](Self::announced) from then on.
    pub async fn listen(&self) -> Result<(Endpoint, Pushes)> {
        let late = |_| Err(Error::Unreachable(Cause::timeout("no answer", self.limit)));
        let answer = timeout(self.limit, self.first_answer(true)).await;
        let (primary, stream) = answer.unwrap_or_else(late)?;
        Ok((primary, Pushes::over(stream, self.limit)))
    }

    /// Where the primary is by an announcement, if it is about ours.
    pub fn announced(&self, payload: &[u8]) -> Option<Endpoint> {
        let text = String::from_utf8_lossy(payload);
        let words: Vec<&str> = text.split(' ').collect();
        match *words.as_slice() {
            [name, _, _, host, port] if name == self.settings.name => self.endpoint(host, port),
            _ => None,
        }
    }

    /// Asks one after the other, and goes on while one takes its time.
    async fn first_answer(&self, listens: bool) -> Result<(Endpoint, Box<dyn Stream>)> {
        let order = lock(&self.order).clone();
        let mut waiting = order.into_iter();
        let mut asked = FuturesUnordered::new();
        let mut failure: Option<Error> = None;
        let mut is_unknown = false;
        loop {
            match waiting.next() {
                Some(next) => asked.push(self.ask(next, listens)),
                None if asked.is_empty() => break,
                None => {}
            }
            select! {
                Some(answer) = asked.next() => match answer {
                    Ok(Answer { sentinel, primary: Some(primary), stream }) => {
                        self.goes_first(sentinel);
                        return Ok((primary, stream));
                    }
                    Ok(_) => is_unknown = true,
                    // A refusal tells more than that another one is down.
                    Err(error) if failure.as_ref().is_none_or(Error::is_transient) => {
                        failure = Some(error);
                    }
                    Err(_) => {}
                },
                () = sleep(ALONE), if waiting.len() > 0 => {}
            }
        }
        match failure {
            Some(error) if !is_unknown || !error.is_transient() => Err(error),
            _ => Err(Error::Unreachable(Cause::new(format!(
                "no sentinel knows a primary called {:?}",
                self.settings.name
            )))),
        }
    }

    async fn ask(&self, sentinel: Endpoint, listens: bool) -> Result<Answer> {
        let mut stream = transport::open(&sentinel, self.encryption.as_ref()).await?;
        let mut then = Pipeline::new();
        then.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.settings.name);
        if listens {
            then.cmd("SUBSCRIBE").arg(SWITCHES);
        }
        let login = self.settings.login.as_ref();
        let mut replies = greeting::log_in(&mut *stream, login, then).await?.into_iter();
        let primary = match answer::reply(replies.next().unwrap_or(Value::Nil))? {
            Value::Array(words) => match words.as_slice() {
                [Value::BulkString(host), Value::BulkString(port)] => {
                    let (host, port) =
                        (String::from_utf8_lossy(host), String::from_utf8_lossy(port));
                    self.endpoint(&host, &port)
                }
                _ => None,
            },
            _ => None,
        };
        replies.try_for_each(|reply| answer::reply(reply).map(drop))?;
        Ok(Answer { sentinel, primary, stream })
    }

    /// Where we reach the server that they say to be there.
    fn endpoint(&self, host: &str, port: &str) -> Option<Endpoint> {
        let (host, port) = match self.settings.nat_map.get(&format!("{host}:{port}")) {
            Some((host, port)) => (host.clone(), *port),
            None => (host.to_owned(), port.parse().ok()?),
        };
        Some(Endpoint::Tcp { host, port, family: None })
    }

    fn goes_first(&self, sentinel: Endpoint) {
        let mut order = lock(&self.order);
        order.retain(|other| *other != sentinel);
        order.insert(0, sentinel);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sentinel() -> Sentinel {
        let outside = ("example.org".to_owned(), 7000);
        let settings = Sentinels {
            endpoints: Vec::new(),
            name: "mine".into(),
            login: None,
            tls: None,
            nat_map: BTreeMap::from([("10.0.0.2:6379".to_owned(), outside)]),
        };
        Sentinel::new(&settings, Duration::from_secs(1)).unwrap()
    }

    fn tcp(host: &str, port: u16) -> Option<Endpoint> {
        Some(Endpoint::Tcp { host: host.into(), port, family: None })
    }

    #[test]
    fn a_switch_of_ours_is_understood_and_all_else_ignored() {
        let sentinel = sentinel();

        assert_eq!(sentinel.announced(b"mine 10.0.0.1 6379 10.0.0.3 6380"), tcp("10.0.0.3", 6380));
        for other in [&b"another 10.0.0.1 6379 10.0.0.3 6380"[..], b"mine 1 2 3 x", b"mine", b""] {
            assert_eq!(sentinel.announced(other), None);
        }
    }

    #[test]
    fn a_server_behind_another_address_is_looked_for_there() {
        let announced = sentinel().announced(b"mine 10.0.0.1 6379 10.0.0.2 6379");

        assert_eq!(announced, tcp("example.org", 7000));
    }

    #[tokio::test]
    async fn where_no_sentinel_answers_the_reason_of_one_is_told() {
        let mut sentinel = sentinel();
        sentinel.order = Mutex::new(vec![Endpoint::Unix("/nowhere".into()); 3]);

        let error = sentinel.find().await.unwrap_err();

        assert!(error.is_transient() && error.to_string().contains("/nowhere"), "{error}");
    }
}
