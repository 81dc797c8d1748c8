//! What this package sends for some locks, as `bench/contenders/bare-rust.js` recorded it.

use std::error::Error;

use redis::Cmd;

/// The commands that take some locks and release them, over and over.
pub struct Lane {
    /// How many they are.
    pub locks: usize,
    /// What takes them.
    pub acquire: Vec<Cmd>,
    /// What releases them.
    pub release: Vec<Cmd>,
}

impl Lane {
    /// All that are in `text`: of each its number of locks and the commands of its two steps, which
    /// end at an empty line.
    pub fn read_all(text: &str) -> Result<Vec<Lane>, Box<dyn Error>> {
        let mut lanes = Vec::new();
        let mut lines = text.lines();
        while let Some(locks) = lines.next() {
            let mut step =
                || lines.by_ref().take_while(|line| !line.is_empty()).map(command).collect();
            lanes.push(Lane { locks: locks.parse()?, acquire: step(), release: step() });
        }
        Ok(lanes)
    }
}

fn command(line: &str) -> Cmd {
    let mut words = line.split('\t');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    for word in words {
        command.arg(word);
    }
    command
}
