//! The keys beside a lock's own, in the same slot of a Cluster.

use std::sync::LazyLock;

/// The key of the last token given out: one for the whole database, so that nothing grows.
pub const FENCE: &str = "dist-lock:fence";

/// How the keys of all queues begin.
pub const QUEUE: &str = "dist-lock:queue:";

/// A part of a Cluster's keys, which moves as a whole from node to node.
pub type Slot = u16;

/// A Cluster has this many slots.
pub const SLOTS: usize = 16384;

/// The key of the queue before `lock`. It never starts with a prefix of the user's, it lies in the
/// same slot, whatever braces there are in the name, and no other lock has the same: what follows
/// the colon differs from case to case.
pub fn queue(lock: &str) -> String {
    // Not with `format!`, which would be an eighth of what Rust does for a step.
    let mut queue = String::with_capacity(QUEUE.len() + lock.len() + 2);
    queue.push_str(QUEUE);
    if !lock.bytes().any(|byte| byte == b'}') {
        // The first brace that closes is ours.
        queue.push('{');
        queue.push_str(lock);
        queue.push('}');
        return queue;
    }
    if tag(lock).is_none() {
        queue.push_str(&format!("#{{{}}}", tag_in(slot(lock))));
    }
    queue.push(':');
    queue.push_str(lock);
    queue
}

/// The key of the last token given out for a lock of `slot`: in a Cluster, whose scripts reach one
/// slot each, there is one for each.
pub fn fence(slot: Slot) -> String {
    format!("{FENCE}:{{{}}}", tag_in(slot))
}

/// A key in `slot` on which `process` tries out what a queue takes.
pub fn trial(slot: Slot, process: &str) -> String {
    format!("{QUEUE}?{{{}}}:{process}", tag_in(slot))
}

/// The lock whose queue has that key, if it is one of a queue.
pub fn lock_of(queue: &str) -> Option<&str> {
    let rest = queue.strip_prefix(QUEUE)?;
    if let Some(lock) = rest.strip_prefix(':') {
        return Some(lock);
    }
    match rest.strip_prefix('#') {
        Some(tagged) => tagged.split_once("}:").map(|(_, lock)| lock),
        None => rest.strip_prefix('{')?.strip_suffix('}'),
    }
}

/// The part of a key that decides its slot, if that is not the whole key: between the first `{`
/// and the next `}`, unless there is nothing in between.
fn tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// The slot of a key, as the Cluster specification computes it.
pub fn slot(key: &str) -> Slot {
    crc16(tag(key).unwrap_or(key).as_bytes()) % SLOTS as Slot
}

/// CRC16-CCITT (XMODEM): polynomial 1021, starting at zero.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

/// A tag that lies in `slot`.
fn tag_in(slot: Slot) -> u32 {
    TAGS[usize::from(slot) % SLOTS]
}

/// For each slot the smallest number whose digits lie in it.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut tags = vec![None; SLOTS];
    let mut missing = SLOTS;
    for number in 0.. {
        let tag = &mut tags[usize::from(slot(&number.to_string()))];
        if tag.is_none() {
            *tag = Some(number);
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    tags.into_iter().flatten().collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // The specification's own example, and names with braces of all kinds as a server has them.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        let known = [("lock:a{b", 12665), ("lock:a{}b", 4435), ("lock:a}b", 7135)];
        for (key, expected) in known {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[test]
    fn a_queue_lies_in_the_slot_of_its_lock() {
        let locks = ["a", "{a}b", "a{b}{c}", "a{b", "a}b", "{}", "{}a{b}", "}{", "{{a}}", "ü🔒}"];
        for lock in locks {
            assert_eq!(slot(&queue(lock)), slot(lock), "{lock} {}", queue(lock));
            assert_eq!(slot(&fence(slot(lock))), slot(lock), "{lock}");
            assert_eq!(slot(&trial(slot(lock), "p1")), slot(lock), "{lock}");
        }
    }

    #[test]
    fn different_locks_have_different_queues() {
        let tag_of_braces = format!("{{{}}}:a}}", tag_in(slot("a}")));
        let locks = ["a", "{a}", "a}", "{a", "{}a", "{a}{a}", &tag_of_braces];
        let queues: std::collections::HashSet<_> = locks.iter().map(|lock| queue(lock)).collect();
        for lock in locks {
            assert_eq!(lock_of(&queue(lock)), Some(lock));
        }

        assert_eq!(queues.len(), locks.len());
    }
}
