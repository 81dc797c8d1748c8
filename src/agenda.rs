//! When somebody has to look at which lock; and of those whose time has come, whose lease ends first.

use std::collections::BTreeSet;

use crate::backend::Text;
use crate::clock::Moment;

/// Locks by the time they are looked at.
#[derive(Debug, Default)]
pub struct Agenda {
    /// By when somebody looks at them.
    later: BTreeSet<(Moment, Text)>,
    /// Those the store is to be told of now, by when their lease ends.
    ready: BTreeSet<(Moment, Text)>,
}

/// Where a lock stands in the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Somebody looks at it then.
    Later(Moment),
    /// The store is to be told of it now; its lease ends then.
    Ready(Moment),
}

impl Agenda {
    /// Sees to it that somebody looks at a lock `at` that time, or not at all. Says whether that is
    /// earlier than any other look.
    ///
    /// A look that comes too early stays: it costs less than to move it, for whoever looks plans the
    /// next one.
    pub fn plan(&mut self, id: &Text, place: &mut Option<Place>, at: Option<Moment>) -> bool {
        if let (Some(Place::Later(planned)), Some(at)) = (*place, at)
            && planned <= at
        {
            return false;
        }
        self.strike(id, place.take());
        let Some(at) = at else { return false };
        let is_first = self.next().is_none_or(|next| at < next);
        self.later.insert((at, id.clone()));
        *place = Some(Place::Later(at));
        is_first
    }

    /// Nobody is to look at a lock any more.
    pub fn strike(&mut self, id: &Text, place: Option<Place>) {
        match place {
            Some(Place::Later(at)) => self.later.remove(&(at, id.clone())),
            Some(Place::Ready(end)) => self.ready.remove(&(end, id.clone())),
            None => false,
        };
    }

    /// The next lock to look at until then, which is taken out.
    pub fn take_until(&mut self, until: Moment) -> Option<(Moment, Text)> {
        self.later.first().filter(|(at, _)| *at <= until)?;
        self.later.pop_first()
    }

    /// The store is to be told of a lock that was taken out; its lease ends at `end`.
    pub fn get_ready(&mut self, id: Text, end: Moment) -> Place {
        self.ready.insert((end, id));
        Place::Ready(end)
    }

    /// How many are ready.
    pub fn count_ready(&self) -> usize {
        self.ready.len()
    }

    /// The lock whose lease ends first of those that are ready, if that is to be `taken`: it is taken
    /// out.
    pub fn take_ready(&mut self, taken: impl FnOnce(Moment) -> bool) -> Option<Text> {
        self.ready.first().filter(|(end, _)| taken(*end))?;
        self.ready.pop_first().map(|(_, id)| id)
    }

    /// When the next look is due, or the first lease ends of those that are ready.
    pub fn next(&self) -> Option<Moment> {
        let firsts = [self.later.first(), self.ready.first()];
        firsts.into_iter().flatten().map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(number: u64) -> Text {
        number.to_string().into()
    }

    #[test]
    fn a_look_moves_when_it_is_wanted_earlier_and_stays_when_it_is_wanted_later() {
        let (mut agenda, mut place) = (Agenda::default(), None);
        let [soon, later] = [1, 2].map(|seconds| Moment::now() + Duration::from_secs(seconds));

        assert!(agenda.plan(&id(1), &mut place, Some(later)));
        assert!(agenda.plan(&id(1), &mut place, Some(soon)));
        assert!(!agenda.plan(&id(1), &mut place, Some(later)));

        assert_eq!(agenda.take_until(later), Some((soon, id(1))));
        assert_eq!(agenda.take_until(later), None);
    }

    #[test]
    fn those_that_are_ready_come_in_the_order_their_leases_end() {
        let mut agenda = Agenda::default();
        let now = Moment::now();
        for number in [3, 1, 2] {
            agenda.get_ready(id(number), now + Duration::from_secs(number));
        }

        let order: Vec<_> = std::iter::from_fn(|| agenda.take_ready(|_| true)).collect();

        assert_eq!(order, [id(1), id(2), id(3)]);
    }

    #[test]
    fn what_is_struck_out_leaves_nothing_behind() {
        let (mut agenda, now) = (Agenda::default(), Moment::now());
        let mut place = None;
        agenda.plan(&id(1), &mut place, Some(now));
        let ready = agenda.get_ready(id(2), now);

        agenda.plan(&id(1), &mut place, None);
        agenda.strike(&id(2), Some(ready));

        assert_eq!((agenda.next(), place), (None, None));
    }
}
