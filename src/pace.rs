//! How much is sent at a time when there is much to send: callers who come meanwhile wait for less,
//! and what is more urgent than the rest need not stand behind it in the server's queue.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The most steps under way: some milliseconds of a server's time.
const MOST: usize = 2048;

/// What has no answer after this long does not hold up the rest any more.
const LONG: Duration = Duration::from_millis(250);

/// The steps that were sent and not answered yet.
#[derive(Debug, Default)]
pub struct Pace {
    /// When they were sent and how many have no answer, by the number of those that went together.
    sent: BTreeMap<u64, (Instant, usize)>,
    count: usize,
    next: u64,
}

impl Pace {
    /// How many more may be sent now.
    pub fn room(&mut self) -> usize {
        while let Some(first) = self.sent.first_entry()
            && first.get().0.elapsed() >= LONG
        {
            self.count -= first.remove().1;
        }
        MOST.saturating_sub(self.count)
    }

    /// When there is room again, even if nothing is answered; `None`: there is some.
    pub fn next_room(&self) -> Option<Instant> {
        let (_, (first, _)) = self.sent.first_key_value()?;
        (self.count >= MOST).then_some(*first + LONG)
    }

    /// So many are sent now, under the number returned.
    pub fn send(&mut self, count: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        self.sent.insert(number, (Instant::now(), count));
        self.count += count;
        number
    }

    /// Some of those with this number were answered, and so many are `left`. What was sent before
    /// them and has no answer is with another server, or lost: it holds up nobody.
    pub fn answered(&mut self, number: u64, left: usize) {
        while let Some(first) = self.sent.first_entry()
            && *first.key() < number
        {
            self.count -= first.remove().1;
        }
        if let Some((_, count)) = self.sent.get_mut(&number) {
            self.count -= *count - left;
            *count = left;
            if left == 0 {
                self.sent.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_make_room() {
        let mut pace = Pace::default();
        let all = pace.send(MOST);
        assert_eq!(pace.room(), 0);

        pace.answered(all, 40);
        assert_eq!((pace.room(), pace.next_room()), (MOST - 40, None));
        pace.answered(all, 0);

        assert_eq!(pace.room(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_overtook_holds_up_nobody() {
        let mut pace = Pace::default();
        let stuck = pace.send(MOST - 10);
        let other = pace.send(10);

        pace.answered(other, 4);
        assert_eq!(pace.room(), MOST - 4);
        pace.answered(stuck, 1);

        assert_eq!(pace.room(), MOST - 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_answer_for_long_makes_room_as_it_is() {
        let mut pace = Pace::default();
        pace.send(MOST - 1);
        tokio::time::advance(LONG / 2).await;
        pace.send(1);
        assert_eq!((pace.room(), pace.next_room()), (0, Some(Instant::now() + LONG / 2)));

        tokio::time::advance(LONG / 2).await;

        assert_eq!(pace.room(), MOST - 1);
    }
}
