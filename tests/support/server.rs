//! A private Redis on a free port, which ends with the test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dist_lock::backend::redis::Settings;
use dist_lock::backend::redis::settings::{Credentials, Endpoint, Target};
use redis::FromRedisValue;

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server and returns when it answers.
    pub fn start() -> Self {
        // Another process may take the port between the look and the start; then try the next.
        (0..5).find_map(|_| Self::try_start()).expect("no redis-server or valkey-server started")
    }

    fn try_start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let directory = tempfile::tempdir().ok()?;
        let process = ["redis-server", "valkey-server"].into_iter().find_map(|program| {
            Command::new(program)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--enable-debug-command", "local"])
                .current_dir(&directory)
                .stdout(Stdio::null())
                .spawn()
                .ok()
        })?;
        let mut server = Server { process, port, _directory: directory };
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if server.process.try_wait().ok()?.is_some() {
                return None;
            }
            let answer: redis::RedisResult<String> = server
                .client()
                .get_connection()
                .and_then(|mut connection| redis::cmd("PING").query(&mut connection));
            if answer.is_ok() {
                return Some(server);
            }
            std::thread::yield_now();
        }
        None
    }

    /// Settings that lead to this server.
    pub fn settings(&self) -> Settings {
        Settings {
            target: Target::Server(Endpoint::Tcp {
                host: "127.0.0.1".into(),
                port: self.port,
                family: None,
            }),
            database: 0,
            credentials: Credentials::None,
            tls: None,
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(5),
            settle_time: Duration::ZERO,
            replication: None,
        }
    }

    /// Runs a command over a connection of the test's own.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.connection();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).expect("the server refused")
    }

    /// A connection of the test's own, for many commands.
    pub fn connection(&self) -> redis::Connection {
        self.client().get_connection().expect("the server is gone")
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(("127.0.0.1", self.port)).expect("it is an address")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
