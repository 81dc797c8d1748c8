//! An open connection that the tokio thread reads and writes, for all who share it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::select;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::primary::Left;
use super::reply::Replies;
use super::transport::Stream;
use crate::error::Cause;
use crate::task::Task;

/// As many bytes are read at once: the replies to some hundred steps.
const ROOM: usize = 8192;

/// An open connection. Clones share it; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Link {
    questions: mpsc::UnboundedSender<Question>,
    /// Reads and writes.
    driver: Arc<Task>,
    given_up: Arc<Notify>,
    in_full: Arc<AtomicBool>,
}

/// Commands that leave in one write.
struct Question {
    commands: Vec<u8>,
    waiting: Waiting,
}

/// Who waits for some replies.
struct Waiting {
    count: usize,
    arrived: Vec<Value>,
    answer: oneshot::Sender<Result<Vec<Value>, Cause>>,
}

impl Link {
    /// A link over `stream`, which was greeted. It ends when its server was left.
    pub fn over(stream: Box<dyn Stream>, mut left: Left) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        let given_up = Arc::<Notify>::default();
        let driver = Task::start({
            let given_up = given_up.clone();
            async move {
                select! {
                    () = drive(stream, asked, &given_up) => {}
                    () = left.until() => {}
                }
            }
        });
        Link { questions, driver: Arc::new(driver), given_up, in_full: Arc::default() }
    }

    /// Whether scripts must be sent with their text.
    pub fn sends_in_full(&self) -> bool {
        self.in_full.load(Ordering::Relaxed)
    }

    /// The server refused to run a script by its name.
    pub fn send_in_full(&self) {
        self.in_full.store(true, Ordering::Relaxed);
    }

    /// Whether the server has not hung up and no reply is overdue.
    pub fn is_open(&self) -> bool {
        !self.driver.has_ended()
    }

    /// Ends the connection for everybody. What has not left yet never will, since it may be tried again
    /// over another one.
    pub fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// Sends the commands of `pipeline` in one write and returns a reply to each. When there is
    /// none within `limit` the connection is taken for dead.
    pub async fn ask(&self, pipeline: &Pipeline, limit: Duration) -> Result<Vec<Value>, Cause> {
        let (answer, answered) = oneshot::channel();
        let count = pipeline.len();
        let waiting = Waiting { count, arrived: Vec::with_capacity(count), answer };
        let commands = pipeline.get_packed_pipeline();
        // A driver that has ended answers by dropping it.
        let _ = self.questions.send(Question { commands, waiting });
        match timeout(limit, answered).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(Cause::hung_up())),
            Err(_) => {
                self.give_up();
                Err(Cause::timeout("no reply", limit))
            }
        }
    }
}

/// Writes what is asked and hands out the replies, until the connection is of no more use.
async fn drive(
    stream: Box<dyn Stream>,
    mut asked: mpsc::UnboundedReceiver<Question>,
    given_up: &Notify,
) {
    let mut waiting = VecDeque::new();
    let Err(cause) = exchange(stream, &mut asked, &mut waiting, given_up).await;
    for Waiting { answer, .. } in waiting {
        let _ = answer.send(Err(cause.clone()));
    }
}

async fn exchange(
    stream: Box<dyn Stream>,
    asked: &mut mpsc::UnboundedReceiver<Question>,
    waiting: &mut VecDeque<Waiting>,
    given_up: &Notify,
) -> Result<Infallible, Cause> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut replies = Replies::default();
    let mut room = vec![0; ROOM];
    let mut unsent = Vec::new();
    let mut is_flushed = true;
    loop {
        // What is asked together is sent together. Each of these can be dropped and begun again.
        select! {
            biased;
            () = given_up.notified() => {
                reader.unsplit(writer).forget_unsent();
                return Err(Cause::new("the connection was given up"));
            }
            Some(question) = asked.recv() => {
                waiting.push_back(question.waiting);
                match unsent.is_empty() {
                    true => unsent = question.commands,
                    false => unsent.extend(question.commands),
                }
            }
            taken = send_on(&mut writer, &unsent), if !unsent.is_empty() || !is_flushed => {
                is_flushed = unsent.is_empty();
                match taken.map_err(|error| Cause::from(&error))? {
                    taken if taken == unsent.len() => unsent = Vec::new(),
                    taken => drop(unsent.drain(..taken)),
                }
            }
            read = reader.read(&mut room) => {
                match read.map_err(|error| Cause::from(&error))? {
                    0 => return Err(Cause::hung_up()),
                    count => replies.add(&room[..count]),
                }
                while let Some(reply) = replies.next()? {
                    hand_out(reply, waiting)?;
                }
            }
        }
    }
}

/// Sends what is taken now, and once there is nothing more sees that it leaves. Says how much it was.
async fn send_on(writer: &mut (impl AsyncWrite + Unpin), unsent: &[u8]) -> io::Result<usize> {
    if unsent.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(unsent).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        taken => Ok(taken),
    }
}

/// Gives a reply to who has waited for the longest time.
fn hand_out(reply: Value, waiting: &mut VecDeque<Waiting>) -> Result<(), Cause> {
    let Some(first) = waiting.front_mut() else {
        return Err(Cause::new("the server sent a reply to nothing"));
    };
    first.arrived.push(reply);
    if first.arrived.len() == first.count
        && let Some(Waiting { arrived, answer, .. }) = waiting.pop_front()
    {
        let _ = answer.send(Ok(arrived));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::primary::Primary;
    use super::super::settings::{Endpoint, Target};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    impl Stream for DuplexStream {}

    async fn link_over(stream: impl Stream + 'static) -> Link {
        let target = Target::Server(Endpoint::Unix("/nowhere".into()));
        let (_, left) = Primary::new(&target, LIMIT).unwrap().find().await.unwrap();
        Link::over(Box::new(stream), left)
    }

    /// A link that takes a few bytes at a time, and the server at its end.
    async fn link() -> (Link, DuplexStream) {
        let (ours, server) = duplex(16);
        (link_over(ours).await, server)
    }

    fn pipeline(keys: &[&str]) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for key in keys {
            pipeline.cmd("GET").arg(key);
        }
        pipeline
    }

    async fn hears(server: &mut DuplexStream, pipeline: &Pipeline) {
        let expected = pipeline.get_packed_pipeline();
        let mut heard = vec![0; expected.len()];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, expected);
    }

    #[tokio::test]
    async fn questions_leave_whole_and_in_order_and_each_gets_as_many_replies_as_it_has_commands() {
        let (link, mut server) = link().await;
        let questions = [pipeline(&["a", "b"]), pipeline(&["c"])];
        let answers = async {
            let [first, second] = &questions;
            tokio::join!(link.ask(first, LIMIT), link.ask(second, LIMIT))
        };
        let serves = async {
            hears(&mut server, &questions[0]).await;
            hears(&mut server, &questions[1]).await;
            server.write_all(b":1\r\n:2\r\n:3\r\n").await.unwrap();
        };

        let ((first, second), ()) = tokio::join!(answers, serves);

        assert_eq!(first, Ok(vec![Value::Int(1), Value::Int(2)]));
        assert_eq!(second, Ok(vec![Value::Int(3)]));
    }

    #[tokio::test]
    async fn who_asks_a_server_that_hangs_up_hears_of_it_and_so_do_those_who_ask_later() {
        let (link, mut server) = link().await;
        let question = pipeline(&["a"]);
        let hangs_up = async {
            hears(&mut server, &question).await;
            drop(server);
        };

        let (answer, ()) = tokio::join!(link.ask(&question, LIMIT), hangs_up);

        assert_eq!(answer, Err(Cause::hung_up()));
        assert_eq!(link.ask(&question, LIMIT).await, Err(Cause::hung_up()));
        assert!(!link.is_open());
    }

    #[tokio::test]
    async fn a_server_that_sends_more_than_was_asked_for_is_left() {
        let (link, mut server) = link().await;
        server.write_all(b":1\r\n").await.unwrap();

        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
        assert!(!link.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_for_too_long_is_left() {
        let (link, _server) = link().await;

        let answer = link.ask(&pipeline(&["a"]), LIMIT).await;

        assert_eq!(answer, Err(Cause::timeout("no reply", LIMIT)));
        tokio::task::yield_now().await;
        assert!(!link.is_open());
    }

    #[tokio::test]
    async fn what_has_not_left_when_a_link_is_given_up_never_does() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let link = link_over(TcpStream::connect(address).await.unwrap()).await;
        let (mut server, _) = listener.accept().await.unwrap();
        // More than the system keeps for a server that reads nothing.
        let (large, size) = ("x".repeat(1024), 32 * 1024);
        let question = pipeline(&vec![&*large; size]);

        let answer = link.ask(&question, Duration::from_millis(100)).await;

        assert!(answer.is_err());
        let mut room = vec![0; 1 << 20];
        let ended = loop {
            match server.read(&mut room).await {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error.kind()),
            }
        };
        assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
    }
}
