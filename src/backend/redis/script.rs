//! The Lua that makes the decisions: scripts that carry out a batch of steps.

use std::borrow::Cow;
use std::sync::LazyLock;

use redis::Cmd;

use super::step::Step;
use crate::key::{self, Slot};

/// A script, and the name Redis caches it under.
struct Script {
    text: &'static str,
    sha: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Script { text, sha: sha1_smol::Sha1::from(text).digest().to_string() }
    }
}

/// What all steps share, a file per step, the same where somebody waits, and what goes through a batch.
static QUEUE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("../../lua/common.lua"),
        include_str!("../../lua/lone.lua"),
        include_str!("../../lua/queued.lua"),
        include_str!("../../lua/acquire.lua"),
        include_str!("../../lua/release.lua"),
        include_str!("../../lua/extend.lua"),
        include_str!("../../lua/read.lua"),
        "make = function()\nlocal steps = {}\n",
        include_str!("../../lua/queue/shares.lua"),
        include_str!("../../lua/queue/queue.lua"),
        include_str!("../../lua/queue/acquire.lua"),
        include_str!("../../lua/queue/release.lua"),
        include_str!("../../lua/queue/extend.lua"),
        include_str!("../../lua/queue/abandon.lua"),
        include_str!("../../lua/queue/beat.lua"),
        include_str!("../../lua/queue/steal.lua"),
        include_str!("../../lua/queue/all.lua"),
        include_str!("../../lua/queue/list.lua"),
        "return steps\nend\n",
        include_str!("../../lua/batch.lua"),
    ))
});

/// The same steps where there can be no queue: version 2's commands, on the lock's key alone.
static CLASSIC: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("../../lua/classic/acquire.lua"),
        include_str!("../../lua/classic/release.lua"),
        include_str!("../../lua/classic/extend.lua"),
        include_str!("../../lua/classic/read.lua"),
        include_str!("../../lua/classic/batch.lua"),
    ))
});

/// What can be done on the lock's key alone while its slot is moved. Rare, so it is not loaded before.
static ALONE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../../lua/alone.lua")));

/// Does what the steps do, to find out whether the server lets us.
const PROBE: &str = include_str!("../../lua/probe.lua");

/// How scripts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect<'p> {
    /// Whether the server can keep queues for us.
    pub queue: bool,
    /// Whether it has met version 2.
    pub met_version_2: bool,
    /// Whether scripts go with their text, instead of by the name the server cached them under.
    pub in_full: bool,
    /// The name under which our waiters queue.
    pub process: &'p str,
}

/// Two keys of a step, and if it is a run of its own its name, their number and up to four more.
const MOST_ARGUMENTS: usize = 8;

/// The commands that put the scripts into the server's cache.
pub fn load() -> [Cmd; 2] {
    [&QUEUE, &CLASSIC].map(|script| {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(script.text);
        command
    })
}

/// The command that tries what a queue takes, on a queue of `process` alone.
///
/// In a Cluster on a slot of the server's.
pub fn probe(process: &str, slot: Option<Slot>) -> Cmd {
    let queue = match slot {
        None => key::queue(process),
        Some(slot) => key::trial(slot, process),
    };
    let mut command = redis::cmd("EVAL");
    command.arg(PROBE).arg(2).arg(&*fence(slot)).arg(queue).arg(process);
    command
}

/// The key of the last token, in a Cluster that of the slot.
fn fence(slot: Option<Slot>) -> Cow<'static, str> {
    slot.map_or(Cow::Borrowed(key::FENCE), |slot| Cow::Owned(key::fence(slot)))
}

/// The name of the script that version 2 takes a lock with.
const VERSION_2: &str = "68c369c9caadc07bd3c92dfbf3f41b7c6d2b035d";

/// The command that tells whether the server has met version 2.
pub fn find_version_2() -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("EXISTS").arg(VERSION_2);
    command
}

/// The command that looks who holds a key, which takes no more rights than version 2 needed.
pub fn look(key: &str) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(key).arg("id").arg("owner");
    command
}

/// How the script for where there is no queue refuses what takes one.
pub const UNSUPPORTED: &str = "UNSUPPORTED";

/// The command that goes on from `cursor` through the keys that begin with `prefix`.
pub fn scan(cursor: &[u8], prefix: &str) -> Cmd {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(format!("{}*", escape(prefix))).arg("COUNT").arg(1000);
    command
}

/// Makes that a pattern means `text` and nothing else.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The command that carries out `steps`, which in a Cluster all have the same route.
pub fn command<'s>(
    steps: impl Iterator<Item = &'s Step>,
    Dialect { queue, met_version_2, in_full, process }: Dialect<'_>,
) -> Cmd {
    let steps: Vec<_> = steps.collect();
    let route = steps.first().and_then(|step| step.route);
    let is_alone = queue && route.is_some_and(|route| route.alone);
    let script = match queue {
        true if is_alone => &ALONE,
        true => &QUEUE,
        false => &CLASSIC,
    };
    let name = if in_full { script.text } else { &script.sha };
    let size = steps.iter().map(|step| step.size()).sum::<usize>() + name.len();
    let mut command = Cmd::with_capacity(6 + MOST_ARGUMENTS * steps.len(), size + 64);
    command.arg(if in_full { "EVAL" } else { "EVALSHA" }).arg(name);
    match queue && !is_alone {
        true => {
            let keys = || steps.iter().flat_map(|step| step.keys());
            command.arg(1 + 2 * keys().count()).arg(&*fence(route.map(|route| route.slot)));
            for key in keys() {
                command.arg(&**key).arg(key::queue(key));
            }
            command.arg(process).arg(u8::from(met_version_2));
            for run in steps.chunk_by(|one, next| one.is_like(next)) {
                if let Some(first) = run.first() {
                    first.write_head_to(run.len(), &mut command);
                }
                run.iter().for_each(|step| step.write_to(&mut command));
            }
        }
        false => {
            command.arg(steps.len());
            for step in &steps {
                command.arg(&*step.key);
            }
            for step in &steps {
                step.write_classic_to(&mut command);
            }
        }
    }
    command
}
