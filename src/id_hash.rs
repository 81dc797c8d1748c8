//! Hashing ids, which are random already: a table of our own ids needs no defence against keys that
//! somebody chose, which is what most of the time of the standard library's hash goes into.

use std::hash::{BuildHasherDefault, Hasher};

/// For tables into which nothing is put but ids of our own; anything may be looked up there.
pub type BuildIdHasher = BuildHasherDefault<IdHasher>;

/// Multiplies and rotates, a word at a time.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

/// 2⁶⁴ divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        self.write_u64(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }

    fn finish(&self) -> u64 {
        // The high bits depend on all of the word, and the table looks at both ends.
        self.0 ^ self.0.rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::id;

    #[test]
    fn ids_spread_over_both_ends_of_their_hashes() {
        let hash = BuildIdHasher::default();
        let process = id::process();
        let ids = (0..4096).map(|_| id::unique(&process, 0));
        let hashes: Vec<u64> = ids.map(|id| hash.hash_one(id)).collect();

        let low: HashSet<_> = hashes.iter().map(|hash| hash & 0xfff).collect();
        let high: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        // Chance alone leaves 37 % of the places empty.
        assert!(low.len() > 2400, "{} of 4096 places are used", low.len());
        assert_eq!(high.len(), 128);
    }
}
