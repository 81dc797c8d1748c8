//! The Lua that makes the decisions: one script that carries out a batch of steps.

use std::sync::LazyLock;

use redis::Cmd;

use super::step::Step;

/// A file per step, and the one that goes through a batch.
const TEXT: &str = concat!(
    include_str!("../../lua/acquire.lua"),
    include_str!("../../lua/release.lua"),
    include_str!("../../lua/extend.lua"),
    include_str!("../../lua/read.lua"),
    include_str!("../../lua/batch.lua"),
);

/// The name Redis caches the script under.
static SHA: LazyLock<String> = LazyLock::new(|| sha1_smol::Sha1::from(TEXT).digest().to_string());

/// A step has a key, a name and up to three more.
const MOST_ARGUMENTS: usize = 5;

/// The command that puts the script into the server's cache.
pub fn load() -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(TEXT);
    command
}

/// The command that looks who holds a key, which takes no more rights than version 2 needed.
pub fn look(key: &str) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(key).arg("id").arg("owner");
    command
}

/// The command that carries out `steps`: by the name of the script, or, where the server does not
/// know that (`in_full`), with its text.
pub fn command<'s>(steps: impl ExactSizeIterator<Item = &'s Step> + Clone, in_full: bool) -> Cmd {
    let script = if in_full { TEXT } else { &SHA };
    let size = steps.clone().map(Step::size).sum::<usize>() + script.len();
    let mut command = Cmd::with_capacity(3 + MOST_ARGUMENTS * steps.len(), size + 16);
    command.arg(if in_full { "EVAL" } else { "EVALSHA" }).arg(script).arg(steps.len());
    for step in steps.clone() {
        command.arg(&*step.key);
    }
    for step in steps {
        step.write_to(&mut command);
    }
    command
}
