//! A lock as its release and its extension see it, which may not be held here.

use std::time::Duration;

use crate::backend::{Text, Waiter};
use crate::end::{End, Past, tell};
use crate::hold::{Extending, Hold};
use crate::holds::Holds;

/// One of the locks held here, or none of them: then nothing is known and nothing changes.
#[derive(Debug, Clone, Copy)]
pub struct OneOf<'h>(Option<(&'h Holds, &'h Text)>);

impl<'h> OneOf<'h> {
    /// The lock that is held under an id.
    pub(crate) fn of(lock: Option<(&'h Holds, &'h Text)>) -> Self {
        OneOf(lock)
    }

    /// [`Hold::releasing`].
    pub fn releasing(self) {
        self.change(Hold::releasing);
    }

    /// The store has released it. What is known of it?
    pub fn released(self) -> Past {
        let Some((holds, id)) = self.0 else { return Past::default() };
        let hold = holds.remove(id);
        let past = hold.as_ref().map(|hold| hold.past()).unwrap_or_default();
        tell(hold.map(|hold| hold.on_end).unwrap_or_default(), End::Released);
        past
    }

    /// [`Hold::late`].
    pub fn late(self) -> Option<Waiter> {
        self.change(|hold| hold.late.as_deref().cloned()).flatten()
    }

    /// [`Hold::not_released`].
    pub fn not_released(self) {
        self.change(Hold::not_released);
    }

    /// [`Holds::end`].
    pub fn end(self, end: End) {
        if let Some((holds, id)) = self.0 {
            holds.end(id, end);
        }
    }

    /// [`Hold::extending`].
    pub fn extending(self, ttl: Duration) -> Option<Extending> {
        self.change(|hold| hold.extending(ttl))
    }

    /// [`Hold::extended`].
    pub fn extended(self, extending: &Extending) -> bool {
        self.change(|hold| hold.extended(extending)).unwrap_or(true)
    }

    /// [`Hold::not_extended`].
    pub fn not_extended(self, extending: Extending) {
        self.change(|hold| hold.not_extended(extending));
    }

    /// [`Hold::maybe_extended`].
    pub fn maybe_extended(self, extending: &Extending) {
        self.change(|hold| hold.maybe_extended(extending));
    }

    /// [`Hold::ttl`].
    pub fn ttl(self) -> Option<Duration> {
        self.change(|hold| hold.ttl())
    }

    fn change<T>(self, change: impl FnOnce(&mut Hold) -> T) -> Option<T> {
        let (holds, id) = self.0?;
        holds.change(id, change)
    }
}
