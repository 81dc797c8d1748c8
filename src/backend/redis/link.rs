//! An open connection that the tokio thread reads and writes, for all who share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::select;
use tokio::time::timeout;

use super::primary::Left;
use super::transport::Stream;
use crate::error::{Cause, Error, Result};
use crate::task::Task;

/// An open connection. Clones share it; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Link {
    connection: MultiplexedConnection,
    /// Reads and writes.
    driver: Arc<Task>,
    in_full: Arc<AtomicBool>,
}

impl Link {
    /// A link over `stream`, which was greeted. It ends when its server was left.
    pub async fn over(stream: Box<dyn Stream>, mut left: Left) -> Result<Self> {
        // What the crate would say in greeting was said already, where each refusal is
        // understood; its default limit of 500 ms per reply is replaced by one per batch.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| Error::Unreachable(cause(&error)))?;
        let driver = Task::start(async move {
            select! {
                () = driver => {}
                () = left.until() => {}
            }
        });
        Ok(Link { connection, driver: Arc::new(driver), in_full: Arc::default() })
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

    /// Ends the connection for everybody.
    pub fn close(&self) {
        self.driver.end();
    }

    /// Sends the commands of `pipeline` in one write and returns a reply to each. When there is
    /// none within `limit` the connection is taken for dead.
    pub async fn ask(
        &self,
        pipeline: &Pipeline,
        limit: Duration,
    ) -> std::result::Result<Vec<Value>, Cause> {
        let mut connection = self.connection.clone();
        let replies = connection.send_packed_commands(pipeline, 0, pipeline.len());
        match timeout(limit, replies).await {
            Ok(replies) => replies.map_err(|error| cause(&error)),
            Err(_) => {
                self.close();
                Err(Cause::timeout("no reply", limit))
            }
        }
    }
}

/// The reason under an error of the redis crate.
fn cause(error: &RedisError) -> Cause {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Cause::from(io);
        }
        source = inner.source();
    }
    let dropped = error.is_connection_dropped();
    Cause { code: dropped.then_some("ECONNRESET"), message: error.to_string() }
}
