//! Who holds what and who waits, as a text for JavaScript: fields that follow each other, each a length in
//! UTF-16 units, a colon and so much text. Names may have any characters, so none could stand between them.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::backend::{Holder, Listing, Queued, Sharing};
use crate::id;

/// One row of seven fields for each who holds or waits: `held` or `waits`, the key, the name of the manager,
/// the owner, how many may hold the lock at once (zero: any number; nothing: one alone), its token, and the
/// milliseconds that are left or that it waited. `lib/web/query.js` reads it.
pub fn write(listings: &[Listing]) -> String {
    let mut text = String::new();
    for Listing { key, holders, waiters } in listings {
        for Holder { id, owner, token, left, sharing } in holders {
            let owner = owner.as_deref().unwrap_or_default();
            row(&mut text, ["held", key, id::client_of(id), owner], *sharing, *token, *left);
        }
        for Queued { id, owner, sharing, waited } in waiters {
            let row_of = ["waits", key, id::client_of(id), owner];
            row(&mut text, row_of, *sharing, None, Some(*waited));
        }
    }
    text
}

fn row(
    text: &mut String,
    words: [&str; 4],
    sharing: Sharing,
    token: Option<u64>,
    time: Option<Duration>,
) {
    words.iter().for_each(|word| field(text, word));
    number(text, sharing.capacity());
    number(text, token);
    number(text, time.map(|time| time.as_millis()));
}

fn number(text: &mut String, number: Option<impl Display>) {
    match number {
        Some(number) => field(text, &number.to_string()),
        None => field(text, ""),
    }
}

fn field(text: &mut String, word: &str) {
    // Writing into a string cannot fail.
    let _ = write!(text, "{}:{word}", word.encode_utf16().count());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_can_be_read_whatever_its_texts_are_made_of() {
        let holder = Holder {
            id: "cprocess00000xy123456".into(),
            owner: Some("3:🔒".into()),
            token: Some(7),
            left: Some(Duration::from_millis(1500)),
            sharing: Sharing::Exclusive,
        };
        let waiter = Queued {
            id: "c".into(),
            owner: "".into(),
            sharing: Sharing::Shared,
            waited: Duration::from_millis(2),
        };
        let listing = Listing { key: "a:1".into(), holders: vec![holder], waiters: vec![waiter] };

        let row_1 = "4:held3:a:115:cprocess00000xy4:3:🔒0:1:74:1500";
        let row_2 = "5:waits3:a:11:c0:1:00:1:2";
        assert_eq!(write(&[listing]), format!("{row_1}{row_2}"));
    }
}
