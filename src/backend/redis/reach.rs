//! Whether a server is reached, for those who want to hear of it: told when it changes, not for every
//! connection.

use std::sync::Mutex;

use crate::mutex::lock;
use crate::notice::{self, Event};

/// Whether a server is reached.
#[derive(Debug)]
pub struct Reach {
    server: String,
    /// As it was told last.
    is_connected: Mutex<Option<bool>>,
}

impl Reach {
    /// That of a server of which nothing is known.
    pub fn new(server: String) -> Self {
        Reach { server, is_connected: Mutex::default() }
    }

    /// A connection was opened.
    pub fn opened(&self) {
        self.set(true, None);
    }

    /// A connection broke, or could not be opened.
    pub fn lost(&self, reason: impl std::fmt::Display) {
        self.set(false, Some(reason.to_string()));
    }

    fn set(&self, is_connected: bool, reason: Option<String>) {
        let mut told = lock(&self.is_connected);
        if told.replace(is_connected) != Some(is_connected) {
            let server = self.server.clone();
            // Told before the next change can be.
            notice::publish(&Event::Connection { server, is_connected, reason });
        }
    }
}
