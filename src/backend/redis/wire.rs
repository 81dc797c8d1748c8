//! An open connection that is written and read by hand: commands in, bytes out; bytes in, answers
//! out. The same on whatever thread, and it never waits.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Batch;
use super::opener::Opener;
use super::reply::Replies;
use super::socket::{Socket, Writable};
use crate::error::{Cause, Error};

/// An open connection and what is under way on it.
#[derive(Debug)]
pub struct Wire {
    opener: Arc<Opener>,
    socket: Socket,
    replies: Replies,
    /// Whether scripts must be sent with their text.
    in_full: bool,
    /// Commands without a reply, in the order they were sent.
    in_flight: VecDeque<Sent>,
    /// What the system did not take yet.
    unsent: Vec<u8>,
}

/// A command without a reply.
#[derive(Debug)]
struct Sent {
    what: Command,
    at: Instant,
}

#[derive(Debug)]
enum Command {
    Steps { batch: Batch, in_full: bool },
    Eviction,
}

impl Wire {
    /// The wire over a socket, which `opener` opened.
    pub fn new(opener: Arc<Opener>, socket: Socket) -> Self {
        Wire {
            opener,
            socket,
            replies: Replies::default(),
            in_full: false,
            in_flight: VecDeque::new(),
            unsent: Vec::new(),
        }
    }

    /// Sends the batches in one write. `true`: the system did not take all of it, and somebody has
    /// to [send on](Self::send_on).
    pub fn send(&mut self, batches: Vec<Batch>) -> bool {
        self.write(batches, self.in_full)
    }

    fn write(&mut self, batches: Vec<Batch>, in_full: bool) -> bool {
        let at = Instant::now();
        let mut bytes = Vec::new();
        for mut batch in batches {
            let command = batch.command(self.opener.dialect(in_full)).get_packed_command();
            match bytes.is_empty() {
                true => bytes = command,
                false => bytes.extend(command),
            }
            self.in_flight.push_back(Sent { what: Command::Steps { batch, in_full }, at });
        }
        // Behind the first steps, which it must not delay.
        if let Some(question) = self.opener.server().eviction().question() {
            bytes.extend(question.get_packed_command());
            self.in_flight.push_back(Sent { what: Command::Eviction, at });
        }
        if !self.unsent.is_empty() {
            self.unsent.extend(bytes);
            return false;
        }
        self.unsent = bytes;
        // Where it fails, whoever reads hears of it too, and ends the connection.
        self.send_on().is_ok_and(|all| !all)
    }

    /// Sends what the system takes now. `true`: that was all.
    pub fn send_on(&mut self) -> io::Result<bool> {
        match self.socket.write(&self.unsent) {
            Ok(taken) if taken == self.unsent.len() => self.unsent = Vec::new(),
            Ok(taken) => drop(self.unsent.drain(..taken)),
            Err(error) => {
                self.socket.shut_down();
                return Err(error);
            }
        }
        Ok(self.unsent.is_empty())
    }

    /// Waits, on the tokio thread, until the system takes more.
    pub fn writable(&self) -> io::Result<Writable> {
        self.socket.writable()
    }

    /// Takes what was read and hands out the answers. `true` as for [`send`](Self::send); an error
    /// says why the connection is of no more use.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<bool, Cause> {
        self.replies.add(bytes);
        let mut again = Vec::new();
        while let Some(reply) = self.replies.next()? {
            let (batch, in_full) = match self.in_flight.pop_front() {
                Some(Sent { what: Command::Steps { batch, in_full }, .. }) => (batch, in_full),
                Some(Sent { what: Command::Eviction, .. }) => {
                    self.opener.server().eviction().found(&reply, self.opener.target());
                    continue;
                }
                None => return Err(Cause::new("the server sent a reply to nothing")),
            };
            let settled = batch.settle(reply, in_full, self.opener.finds_primary(), &Ok(()));
            self.in_full |= settled.in_full_only;
            again.extend(settled.again);
            if settled.is_replica {
                return Err(Cause::new("the server became a replica"));
            }
        }
        Ok(!again.is_empty() && self.write(again, true))
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether a step of the lock with this id is under way.
    pub fn concerns(&self, lock: &str) -> bool {
        self.in_flight.iter().any(|sent| match &sent.what {
            Command::Steps { batch, .. } => batch.concerns(lock),
            Command::Eviction => false,
        })
    }

    /// How long the command that is under way for the longest time has been so.
    pub fn age(&self) -> Option<Duration> {
        self.in_flight.front().map(|sent| sent.at.elapsed())
    }

    /// Whether nothing is under way and the server has hung up, as far as the system knows: what
    /// would be sent now would be lost.
    pub fn is_spent(&self) -> bool {
        self.is_quiet() && self.socket.is_closed()
    }

    /// What has not left yet never will, since it may be tried again over another connection.
    pub fn forget_unsent(&self) {
        self.socket.forget_unsent();
    }

    /// Ends the connection; what is under way fails.
    pub fn end(self, cause: Cause) {
        self.socket.shut_down();
        let error = Error::Unknown(cause);
        for sent in self.in_flight {
            if let Command::Steps { batch, .. } = sent.what {
                batch.fail(&error);
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use tokio::sync::oneshot::{self, Receiver};

    use super::super::batch::Pending;
    use super::super::settings::{Credentials, Endpoint, Settings, Target};
    use super::super::step::{Action, Step};
    use super::*;

    type Answer = Receiver<crate::Result<redis::Value>>;

    fn opener() -> Arc<Opener> {
        let settings = Settings {
            target: Target::Server(Endpoint::Unix("/nowhere".into())),
            database: 0,
            credentials: Credentials::None,
            tls: None,
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_secs(1),
            settle_time: Duration::ZERO,
            replication: None,
        };
        Arc::new(Opener::new(settings).unwrap())
    }

    /// A wire to a server that was asked before, and the server at its end.
    fn wire() -> (Wire, UnixStream) {
        let opener = opener();
        opener.server().eviction().question();
        wire_of(opener)
    }

    fn wire_of(opener: Arc<Opener>) -> (Wire, UnixStream) {
        let (ours, server) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        server.set_nonblocking(true).unwrap();
        (Wire::new(opener, Socket::from(OwnedFd::from(ours))), server)
    }

    fn release(id: &str, key_length: usize) -> (Vec<Batch>, Answer) {
        let (answer, answered) = oneshot::channel();
        let key = "k".repeat(key_length).into();
        let step = Step { key, action: Action::Release { id: id.into() }, route: None };
        (Batch::of(vec![Pending { step, answer }]), answered)
    }

    fn read_all(server: &mut UnixStream) -> String {
        let mut bytes = Vec::new();
        // It ends with "would block".
        let _ = server.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn each_command_gets_the_reply_in_its_place() {
        let (mut wire, mut server) = wire();
        let (one, mut first) = release("a", 1);
        let (other, mut second) = release("b", 1);
        wire.send(one);
        wire.send(other);
        assert!(wire.concerns("a") && wire.concerns("b") && !wire.concerns("c"));

        assert_eq!(wire.receive(b"*1\r\n:1\r\n*1\r\n:"), Ok(false));
        assert!(!wire.concerns("a") && wire.concerns("b"));
        assert_eq!(wire.receive(b"0\r\n"), Ok(false));

        assert_eq!(first.try_recv().unwrap(), Ok(redis::Value::Int(1)));
        assert_eq!(second.try_recv().unwrap(), Ok(redis::Value::Int(0)));
        assert!(wire.is_quiet());
        assert_eq!(read_all(&mut server).matches("EVALSHA").count(), 2);
    }

    #[tokio::test]
    async fn a_new_server_is_asked_about_evictions_behind_the_first_steps() {
        let (mut wire, mut server) = wire_of(opener());
        let (one, mut answer) = release("a", 1);
        wire.send(one);
        wire.send(release("b", 1).0);

        let sent = read_all(&mut server);
        let places = ["EVALSHA", "INFO"].map(|command| sent.find(command).unwrap());
        assert!(places[0] < places[1] && sent.rfind("EVALSHA").unwrap() > places[1]);
        assert_eq!(sent.matches("INFO").count(), 1);
        wire.receive(b"*1\r\n:1\r\n-NOPERM no\r\n*1\r\n:1\r\n").unwrap();

        assert_eq!(answer.try_recv().unwrap(), Ok(redis::Value::Int(1)));
        assert!(wire.is_quiet());
    }

    #[tokio::test]
    async fn a_script_the_server_does_not_know_is_sent_again_in_full() {
        let (mut wire, mut server) = wire();
        let (batch, mut answer) = release("a", 1);
        wire.send(batch);
        read_all(&mut server);

        wire.receive(b"-NOSCRIPT No matching script.\r\n").unwrap();
        assert!(read_all(&mut server).contains("$4\r\nEVAL\r\n"));
        wire.receive(b"*1\r\n:1\r\n").unwrap();

        assert_eq!(answer.try_recv().unwrap(), Ok(redis::Value::Int(1)));
    }

    #[tokio::test]
    async fn what_the_system_does_not_take_leaves_later_and_nothing_overtakes_it() {
        let (mut wire, mut server) = wire();
        let (large, _answer) = release("a", 4 * 1024 * 1024);
        let (small, _another) = release("last", 1);

        assert!(wire.send(large), "the system took it all");
        assert!(!wire.send(small), "somebody sends on already");
        let mut sent = read_all(&mut server);
        while !wire.send_on().unwrap() {
            sent += &read_all(&mut server);
        }
        sent += &read_all(&mut server);

        assert!(sent.len() > 4 * 1024 * 1024 && sent.ends_with("$4\r\nlast\r\n"));
    }

    #[tokio::test]
    async fn what_has_not_left_when_a_wire_is_given_up_never_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut wire = Wire::new(opener(), Socket::from(OwnedFd::from(ours)));
        assert!(wire.send(release("a", 32 * 1024 * 1024).0), "the system took it all");

        wire.forget_unsent();
        wire.end(Cause::hung_up());

        let ended = server.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn what_is_under_way_when_it_ends_is_unknown() {
        let (mut wire, server) = wire();
        let (batch, mut answer) = release("a", 1);
        wire.send(batch);
        drop(server);
        assert!(!wire.is_spent(), "something is under way");

        wire.end(Cause::hung_up());

        let error = answer.try_recv().unwrap().unwrap_err();
        assert_eq!(error, Error::Unknown(Cause::hung_up()));
    }

    #[tokio::test]
    async fn a_reply_to_nothing_and_a_replica_are_of_no_use() {
        let (mut wire, mut server) = wire();
        server.write_all(b"ignored").unwrap();
        assert!(wire.receive(b":1\r\n").is_err());

        let (batch, mut answer) = release("a", 1);
        wire.send(batch);
        let refused = b"*1\r\n-READONLY You can't write against a read only replica.\r\n";
        assert!(wire.receive(refused).is_err());

        let error = answer.try_recv().unwrap().unwrap_err();
        assert!(matches!(error, Error::Redis { code, .. } if code == "READONLY"));
    }
}
