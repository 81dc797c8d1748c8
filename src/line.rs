//! The callers of this process that wait for the same key, in order of arrival.
//!
//! Only the first of a line asks the server; the others would be answered the same. What the
//! first one learns counts for all.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::select;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::mutex::lock;
use crate::patience::Trouble;

/// The lines of all keys. Cloning is shallow.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<HashMap<Arc<str>, Arc<Line>>>>);

#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    /// Wakes those who wait for an answer rather than for their turn.
    heard: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// By ticket, so that the first entry is the one that arrived first.
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// How often whoever was first has asked the server.
    questions: u64,
    /// The last question that was answered.
    answered: u64,
    last_answer: Option<Instant>,
    /// What keeps whoever is first from being answered.
    trouble: Option<Trouble>,
}

impl Lines {
    /// Takes a place in the line for `key`, before those with a higher ticket; dropping the place
    /// leaves the line.
    pub fn join(&self, key: &Arc<str>, ticket: u64) -> Place {
        let wake = Arc::new(Notify::new());
        let mut lines = lock(&self.0);
        let line = lines.entry(key.clone()).or_default().clone();
        let mut state = lock(&line.state);
        state.waiting.insert(ticket, wake.clone());
        let questions_before = state.questions;
        drop(state);
        Place { lines: self.clone(), key: key.clone(), line, ticket, wake, questions_before }
    }

    /// Whether anybody is in line for `key`.
    pub fn has(&self, key: &str) -> bool {
        lock(&self.0).contains_key(key)
    }

    /// The key may be free now: its first caller should ask without waiting for its next try.
    pub fn call_first(&self, key: &str) {
        if let Some(line) = lock(&self.0).get(key) {
            lock(&line.state).call_first();
        }
    }
}

impl State {
    fn call_first(&self) {
        if let Some((_, wake)) = self.waiting.first_key_value() {
            wake.notify_one();
        }
    }

    fn is_first(&self, ticket: u64) -> bool {
        self.waiting.keys().next() == Some(&ticket)
    }
}

/// One caller's place in a line.
#[derive(Debug)]
pub struct Place {
    lines: Lines,
    key: Arc<str>,
    line: Arc<Line>,
    ticket: u64,
    wake: Arc<Notify>,
    questions_before: u64,
}

impl Place {
    /// Waits until everybody before this caller has left. `false`: `until` came first.
    pub async fn comes_first(&self, until: Option<Instant>) -> bool {
        loop {
            if self.is_first() {
                return true;
            }
            if !self.called(until).await {
                return self.is_first();
            }
        }
    }

    /// Waits until the first of the line is called. `false`: `until` came first.
    pub async fn called(&self, until: Option<Instant>) -> bool {
        let called = self.wake.notified();
        match until {
            Some(until) => timeout_at(until, called).await.is_ok(),
            None => {
                called.await;
                true
            }
        }
    }

    /// Waits until this caller is first (`true`), or the line has learned something since it
    /// joined (`false`). The first of the line is called to ask now.
    pub async fn comes_first_or_hears(&self) -> bool {
        self.call_first();
        loop {
            let mut heard = pin!(self.line.heard.notified());
            heard.as_mut().enable();
            if self.is_first() {
                return true;
            }
            if self.answers() > 0 {
                return false;
            }
            select! {
                () = heard => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Calls the first of the line to ask now.
    pub fn call_first(&self) {
        self.state().call_first();
    }

    /// Tells the line that its first caller asks the server.
    pub fn asks(&self) {
        self.state().questions += 1;
    }

    /// Tells the line that the server answered its first caller.
    pub fn answered(&self) {
        let mut state = self.state();
        state.answered = state.questions;
        state.last_answer = Some(Instant::now());
        state.trouble = None;
        drop(state);
        self.line.heard.notify_waiters();
    }

    /// Tells the line what keeps its first caller from being answered.
    pub fn fails(&self, trouble: Option<&Trouble>) {
        self.state().trouble = trouble.cloned();
    }

    /// What keeps whoever is first from being answered.
    pub fn trouble(&self) -> Option<Trouble> {
        self.state().trouble.clone()
    }

    /// How many questions were answered that were asked after this caller joined. An earlier
    /// one says nothing about now.
    pub fn answers(&self) -> u64 {
        self.state().answered.saturating_sub(self.questions_before)
    }

    /// When the server last answered anybody in this line.
    pub fn last_answer(&self) -> Option<Instant> {
        self.state().last_answer
    }

    /// Whether nobody is before this caller.
    pub fn is_first(&self) -> bool {
        self.state().is_first(self.ticket)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.line.state)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The table first, as in `join`: nobody may join a line that is being removed.
        let mut lines = lock(&self.lines.0);
        let mut state = self.state();
        let was_first = state.is_first(self.ticket);
        state.waiting.remove(&self.ticket);
        if state.waiting.is_empty() {
            lines.remove(&self.key);
        } else if was_first {
            state.call_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Arc<str> {
        "lock:k".into()
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_first_in_the_order_they_were_taken() {
        let lines = Lines::default();
        let (first, second, third) =
            (lines.join(&key(), 1), lines.join(&key(), 2), lines.join(&key(), 3));
        assert!(first.comes_first(None).await);
        assert!(!second.is_first());

        drop(first);
        assert!(second.comes_first(None).await);
        assert!(!third.is_first());

        drop(second);
        assert!(third.comes_first(None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn leaving_from_the_middle_does_not_disturb_the_order() {
        let lines = Lines::default();
        let (first, second, third) =
            (lines.join(&key(), 4), lines.join(&key(), 5), lines.join(&key(), 6));

        drop(second);
        assert!(first.is_first());
        drop(first);

        assert!(third.comes_first(None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_first_in_time_is_told_so_at_that_time() {
        let lines = Lines::default();
        let _first = lines.join(&key(), 7);
        let second = lines.join(&key(), 8);
        let until = Instant::now() + std::time::Duration::from_secs(3);

        assert!(!second.comes_first(Some(until)).await);
        assert_eq!(Instant::now(), until);
    }

    #[tokio::test]
    async fn an_answer_counts_for_those_who_had_joined() {
        let lines = Lines::default();
        let first = lines.join(&key(), 9);
        let second = lines.join(&key(), 10);

        first.asks();
        first.answered();
        let third = lines.join(&key(), 11);

        assert_eq!((second.answers(), third.answers()), (1, 0));
    }

    #[tokio::test]
    async fn an_answer_to_a_question_asked_before_joining_does_not_count() {
        let lines = Lines::default();
        let first = lines.join(&key(), 12);

        first.asks();
        let second = lines.join(&key(), 13);
        first.answered();

        assert_eq!((first.answers(), second.answers()), (1, 0));
    }

    #[tokio::test]
    async fn an_empty_line_leaves_nothing_behind() {
        let lines = Lines::default();

        drop(lines.join(&key(), 14));

        assert!(lock(&lines.0).is_empty());
    }
}
