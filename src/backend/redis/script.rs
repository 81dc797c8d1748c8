//! The Lua scripts, and the commands that run them.

use std::sync::LazyLock;

use redis::Cmd;

/// A script and the name Redis caches it under.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    sha: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Script { text, sha: sha1_smol::Sha1::from(text).digest().to_string() }
    }

    /// Takes a key.
    pub fn acquire() -> &'static Script {
        static ACQUIRE: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!("../../lua/acquire.lua")));
        &ACQUIRE
    }

    /// Frees a key.
    pub fn release() -> &'static Script {
        static RELEASE: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!("../../lua/release.lua")));
        &RELEASE
    }

    /// Changes the remaining time of a key.
    pub fn extend() -> &'static Script {
        static EXTEND: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!("../../lua/extend.lua")));
        &EXTEND
    }

    /// All of them.
    pub fn all() -> [&'static Script; 3] {
        [Script::acquire(), Script::release(), Script::extend()]
    }

    /// The command that puts the script into the server's cache.
    pub fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.text);
        command
    }

    /// The start of a command that runs the script on one key: by its name, or, where the
    /// server does not know that (`in_full`), by its text.
    pub fn on(&self, key: &str, in_full: bool) -> Cmd {
        let mut command = match in_full {
            false => redis::cmd("EVALSHA"),
            true => redis::cmd("EVAL"),
        };
        command.arg(if in_full { self.text } else { &self.sha }).arg(1).arg(key);
        command
    }
}
