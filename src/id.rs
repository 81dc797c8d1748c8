//! The id of a lock: proof of who holds it.

use std::sync::Arc;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A new id: `c` and 24 characters of `[a-z0-9]`, as version 2's ids look (it used cuid).
///
/// The 124 random bits come from a cryptographic generator seeded by the operating system, so
/// an id can be neither met twice nor guessed.
pub fn unique() -> Arc<str> {
    let mut text = [b'c'; 25];
    for half in text[1..].chunks_exact_mut(12) {
        // A fraction of 2⁶⁴, whose first twelve digits to the base of 36 these are.
        let mut fraction: u64 = rand::random();
        for character in half {
            let product = u128::from(fraction) * ALPHABET.len() as u128;
            *character = ALPHABET[(product >> 64) as usize];
            fraction = product as u64;
        }
    }
    std::str::from_utf8(&text).expect("the alphabet is ASCII").into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_is_a_c_and_24_lower_case_letters_or_digits() {
        let id = unique();

        assert_eq!(id.len(), 25);
        assert!(id.starts_with('c'));
        assert!(id.bytes().all(|byte| ALPHABET.contains(&byte)));
    }

    #[test]
    fn ids_do_not_repeat_and_use_the_whole_alphabet() {
        let ids: HashSet<_> = (0..10_000).map(|_| unique()).collect();
        let used: HashSet<u8> = ids.iter().flat_map(|id| id.bytes().skip(1)).collect();

        assert_eq!(ids.len(), 10_000);
        assert_eq!(used.len(), 36);
    }
}
