//! The id of a lock: proof of who holds it.
//!
//! `c` and 24 characters of `[a-z0-9]`, as version 2's ids look (it used cuid): 13 are the name of the
//! process, so that whoever sees an id knows whom to tell what becomes of the lock; two tell apart its
//! managers; ten are the lock's own.

use std::sync::Arc;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

const LENGTH: usize = 25;
/// `src/lua/queue/steal.lua` says the same.
const PROCESS: usize = 13;
const CLIENT: usize = 15;

/// A new name for a process among those that use a store. With 62 random bits, ten thousand processes
/// at once meet one name twice with a probability of 1 in 10¹¹.
pub fn process() -> Arc<str> {
    complete([b'c'; PROCESS], 1)
}

/// The process that made an id; nonsense for a foreign one.
pub fn process_of(id: &str) -> &str {
    id.get(..PROCESS).unwrap_or(id)
}

/// The name of a manager of `process`: how the ids of its locks begin. Managers whose numbers are a
/// multiple of 1296 apart have the same.
pub fn client(process: &str, group: u64) -> String {
    let [first, second] = digits(group).map(char::from);
    format!("{process}{first}{second}")
}

fn digits(group: u64) -> [u8; 2] {
    [group / 36, group].map(|number| ALPHABET[(number % 36) as usize])
}

/// The manager that made an id.
pub fn client_of(id: &str) -> &str {
    id.get(..CLIENT).unwrap_or(id)
}

/// A new id. Its last 52 bits come from a cryptographic generator seeded by the operating system, so
/// it can be neither met twice nor guessed.
pub fn unique(process: &str, group: u64) -> Arc<str> {
    let mut begun = [b'c'; LENGTH];
    let known = process.bytes().take(PROCESS).chain(digits(group));
    begun.iter_mut().zip(known).for_each(|(character, known)| *character = known);
    complete(begun, CLIENT)
}

/// A new id of the same manager as another.
pub fn another(id: &str) -> Arc<str> {
    let mut begun = [b'c'; LENGTH];
    let known = id.bytes().take(CLIENT);
    begun.iter_mut().zip(known).for_each(|(character, known)| *character = known);
    complete(begun, CLIENT)
}

/// Fills in random characters from `start` on, at most twelve: a fraction of 2⁶⁴, whose first digits to
/// the base of 36 these are.
fn complete<const N: usize>(mut text: [u8; N], start: usize) -> Arc<str> {
    let mut fraction: u64 = rand::random();
    for character in &mut text[start..] {
        let product = u128::from(fraction) * ALPHABET.len() as u128;
        *character = ALPHABET[(product >> 64) as usize];
        fraction = product as u64;
    }
    std::str::from_utf8(&text).expect("the alphabet is ASCII").into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_is_a_c_and_24_lower_case_letters_or_digits_and_says_who_made_it() {
        let process = process();
        let id = unique(&process, 37);

        assert_eq!(id.len(), 25);
        assert!(id.starts_with('c'));
        assert!(id.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_eq!(process_of(&id), &*process);
        assert_eq!(client_of(&id), client(&process, 37));
        assert_ne!(client_of(&id), client(&process, 38));
    }

    #[test]
    fn ids_do_not_repeat_and_use_the_whole_alphabet() {
        let process = process();
        let ids: HashSet<_> = (0..10_000).map(|_| unique(&process, 0)).collect();
        let used: HashSet<u8> = ids.iter().flat_map(|id| id.bytes().skip(CLIENT)).collect();

        assert_eq!(ids.len(), 10_000);
        assert_eq!(used.len(), 36);
    }

    #[test]
    fn what_is_no_id_of_ours_is_no_reason_to_panic() {
        for foreign in ["", "c", "ünïcödé-is-långer-than-it-looks"] {
            let _ = (process_of(foreign), client_of(foreign));
        }
    }
}
