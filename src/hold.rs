//! One lock this process holds: until when it may believe that, and when the store is told again.

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use crate::agenda::Place;
use crate::backend::{Text, Token, Waiter};
use crate::clock::Moment;
use crate::end::{OnEnd, Past};
use crate::lease::{Grant, lease};

/// A lock that was granted by a message is set to its full ttl after this long: soon, but not for
/// one that is released at once.
const CONFIRM_AFTER: Duration = Duration::from_millis(10);

/// The pause after a renewal that failed; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Keeps a lease alive for as long as its holder lives.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The longest the lock is held in all, if there is a limit.
    pub max_hold: Option<Duration>,
    /// Gone when nobody is left who could release the lock.
    pub holder: Weak<()>,
}

/// What a holder may know of its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Proven ours.
    Held,
    /// The last try to renew it failed, but its lease has time left.
    Suspect,
    /// Somebody else has it, or its lease is over.
    Lost,
    /// Not among the locks held here: released, or lost some time ago.
    Gone,
}

/// A lock whose ttl is to be set again.
#[derive(Debug)]
pub struct Due {
    /// Its id.
    pub id: Text,
    /// Its key.
    pub key: Text,
    /// The new ttl.
    pub ttl: Duration,
    /// Before it is sent.
    pub sent: Moment,
    /// The longest hold, if this ttl ends with it.
    pub ends_with: Option<Duration>,
    asked: u64,
}

/// A ttl that its holder is setting.
#[derive(Debug)]
pub struct Extending {
    sent: Moment,
    ttl: Duration,
    number: u64,
    before: (Moment, Duration),
}

/// One lock.
pub struct Hold {
    /// Its key.
    pub key: Text,
    /// Whose it is, see [`crate::holds::Holds::of_group`].
    pub group: u64,
    /// Where it stands in the agenda.
    pub place: Option<Place>,
    /// Who is told how it ends.
    pub on_end: Vec<OnEnd>,
    /// Its fencing token.
    pub token: Option<Token>,
    /// Whose lock it would be again if an attempt without an answer is carried out late.
    pub late: Option<Box<Waiter>>,
    /// When its caller got it.
    granted: Instant,
    /// When it was ours for the last time that is known.
    pub since: Moment,
    /// What it is renewed with.
    ttl: Duration,
    valid_until: Moment,
    /// Its holder has let go of it, as far as it is concerned.
    is_released: bool,
    /// Its end was told.
    is_lost: bool,
    renewal: Option<Renewal>,
    /// The store is to be told the ttl once more, whether it is renewed or not.
    is_due_once: bool,
    /// When the store is to be told next.
    next: Option<Moment>,
    /// What the store is being told by a renewal, and since when.
    renewing: Option<(Moment, Duration)>,
    /// How often its holder has set its ttl, and the last of these that was answered.
    asked: u64,
    answered: u64,
    /// After a failure, the pause before the next try.
    failed: Option<Duration>,
}

impl Hold {
    /// A lock that its caller gets at `granted`; `ttl` is what was asked for.
    pub fn new(
        key: Text,
        grant: &Grant,
        granted: Instant,
        ttl: Duration,
        group: u64,
        renewal: Option<Renewal>,
    ) -> Self {
        let is_claim = grant.ttl < ttl;
        let next = match &renewal {
            _ if is_claim => Some(Moment::now() + CONFIRM_AFTER.min(grant.ttl / 8)),
            Some(_) => Some(grant.since + period(ttl)),
            None => None,
        };
        Hold {
            key,
            group,
            place: None,
            on_end: Vec::new(),
            token: grant.token,
            late: None,
            granted,
            since: grant.since,
            ttl,
            valid_until: grant.valid_until(),
            is_released: false,
            is_lost: false,
            renewal,
            is_due_once: is_claim,
            next,
            renewing: None,
            asked: 0,
            answered: 0,
            failed: None,
        }
    }

    /// The time its holder may still believe in it.
    pub fn remaining(&self) -> Duration {
        match self.is_released || self.is_lost {
            true => Duration::ZERO,
            false => self.valid_until.left(),
        }
    }

    /// What its holder may know of it.
    pub fn state(&self) -> State {
        match self.failed {
            _ if self.is_lost || self.valid_until.is_over() => State::Lost,
            _ if self.is_released => State::Gone,
            Some(_) => State::Suspect,
            None => State::Held,
        }
    }

    /// What the store was last asked to set its time to live to.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether its lease is over, whatever was told of it.
    pub fn is_over(&self) -> bool {
        self.valid_until.is_over()
    }

    /// Whether its holder may still release it.
    pub fn is_open(&self) -> bool {
        !self.is_released && !self.is_lost
    }

    /// Whether its end was told.
    pub fn was_given_up(&self) -> bool {
        self.is_lost
    }

    /// Whether it ended without being released, told or not.
    pub fn is_lost(&self) -> bool {
        self.is_lost || (!self.is_released && self.is_over())
    }

    /// What is known of it now that it was released.
    pub fn past(&self) -> Past {
        Past { token: self.token, held: Some(self.granted.elapsed()) }
    }

    /// Until when its holder may believe in it.
    pub fn valid_until(&self) -> Moment {
        self.valid_until
    }

    /// Whether its lease is over by `now`.
    pub fn ends_by(&self, now: Moment) -> bool {
        self.valid_until <= now
    }

    /// How long after one renewal the next is due.
    pub fn period(&self) -> Duration {
        period(self.ttl)
    }

    /// It is one of many: its first renewal is due earlier than it would be, or all that were granted
    /// together would be due together ever after.
    pub fn stagger(&mut self) {
        if self.renewal.is_some() && !self.is_due_once {
            let share = rand::rng().random_range(0.5..1.0);
            self.next = Some(self.since + self.period().mul_f64(share));
        }
    }

    /// Whether the store is to be told now; a renewal may come `early` by that much, where that is
    /// little of its ttl.
    pub fn is_due(&self, now: Moment, early: Duration) -> bool {
        let early = if self.is_due_once { Duration::ZERO } else { early.min(self.ttl / 16) };
        self.next.is_some_and(|next| next <= now + early)
    }

    /// When somebody has to look at it next, if anybody has.
    pub fn next_look(&self) -> Option<Moment> {
        let is_watched = !self.on_end.is_empty() || self.renewal.is_some();
        let end = (is_watched && !self.is_lost).then_some(self.valid_until);
        [self.next, end].into_iter().flatten().min()
    }

    /// Its holder is about to release it: from now on it may be somebody else's.
    pub fn releasing(&mut self) {
        self.is_released = true;
        self.stop();
    }

    /// The store refused to release it: it is as it was, but for its renewal.
    pub fn not_released(&mut self) {
        self.is_released = false;
    }

    /// Its holder is about to set its ttl, which may be less than it was: until that is answered
    /// only the less can be believed.
    pub fn extending(&mut self, ttl: Duration) -> Extending {
        let sent = Moment::now();
        let before = (self.valid_until, self.ttl);
        self.asked += 1;
        self.ttl = ttl;
        self.next = None;
        self.valid_until = self.valid_until.min(sent + lease(ttl));
        Extending { sent, ttl, number: self.asked, before }
    }

    /// The store did what its holder asked for. `false`: too late, its end was told.
    pub fn extended(&mut self, extending: &Extending) -> bool {
        if self.is_lost {
            return false;
        }
        let mut valid_until = extending.sent + lease(extending.ttl);
        if let Some((sent, ttl)) = self.renewing {
            // Whichever of the two came first, the other holds.
            valid_until = valid_until.min(sent + lease(ttl));
        }
        self.valid_until = match extending.number > self.answered {
            true => valid_until,
            false => self.valid_until.min(valid_until),
        };
        self.answered = self.answered.max(extending.number);
        self.is_due_once = self.is_due_once && self.renewing.is_some();
        self.plan_renewal(extending.sent);
        true
    }

    /// The store was not told what its holder asked for.
    pub fn not_extended(&mut self, extending: Extending) {
        if self.asked == extending.number && !self.is_lost {
            (self.valid_until, self.ttl) = extending.before;
            self.plan_renewal(extending.sent);
        }
    }

    /// Nobody knows whether the store did what its holder asked for, or it did not do it for good: the
    /// less is believed, and a renewal sees to it.
    pub fn maybe_extended(&mut self, extending: &Extending) {
        if self.asked == extending.number && self.is_open() {
            self.plan_renewal(extending.sent);
        }
    }

    /// What the store is to be told now, if anything.
    pub fn take_due(&mut self, id: &Text, now: Moment) -> Option<Due> {
        self.next.take()?;
        let ttl = self.renewed_at(now)?;
        // It may be less than it was.
        self.valid_until = self.valid_until.min(now + lease(ttl));
        self.renewing = Some((now, ttl));
        let max_hold = self.renewal.as_ref().and_then(|renewal| renewal.max_hold);
        let ends_with = max_hold.filter(|_| ttl < self.ttl);
        let (id, key) = (id.clone(), self.key.clone());
        Some(Due { id, key, ttl, sent: now, ends_with, asked: self.asked })
    }

    /// The store did what was due. `false`: too late, its end was told.
    pub fn renewed(&mut self, due: &Due) -> bool {
        self.renewing = None;
        if self.is_released || self.is_lost {
            // A release that is under way comes after it.
            return self.is_released;
        }
        let valid_until = due.sent + lease(due.ttl);
        self.failed = None;
        if self.asked == due.asked {
            self.valid_until = valid_until;
            self.is_due_once = false;
            self.plan_renewal(due.sent);
        } else {
            // Its holder has set another ttl meanwhile, and nobody knows which came last.
            self.valid_until = self.valid_until.min(valid_until);
            self.is_due_once = true;
            self.next = Some(Moment::now());
        }
        true
    }

    /// The store could not be told what was due.
    pub fn failed(&mut self) {
        self.renewing = None;
        if self.renewal.is_some() || self.is_due_once {
            let pause = self.failed.map_or(FIRST_PAUSE, |pause| 2 * pause).min(LONGEST_PAUSE);
            self.failed = Some(pause);
            self.next = Some(Moment::now() + pause.min(self.ttl / 8));
        }
    }

    /// Nothing is renewed any more.
    pub fn stop(&mut self) {
        self.renewal = None;
        self.is_due_once = false;
        self.next = None;
    }

    /// It is lost, and nothing more is done for it. Who is to be told?
    pub fn give_up(&mut self) -> Vec<OnEnd> {
        self.is_lost = true;
        self.stop();
        std::mem::take(&mut self.on_end)
    }

    /// The ttl to renew it with, if it is to be renewed.
    fn renewed_at(&mut self, now: Moment) -> Option<Duration> {
        let Some(renewal) = &self.renewal else { return self.is_due_once.then_some(self.ttl) };
        let left = renewal.max_hold.map_or(self.ttl, |most| (self.since + most) - now);
        if renewal.holder.strong_count() == 0 || left < Duration::from_millis(1) {
            self.stop();
            return None;
        }
        Some(self.ttl.min(left))
    }

    /// The store was told, not earlier than `sent`: when it is to be told next.
    fn plan_renewal(&mut self, sent: Moment) {
        let renewal = self.renewal.is_some().then(|| sent + self.period());
        self.next = if self.is_due_once { Some(Moment::now()) } else { renewal };
    }
}

/// A lock is renewed so often that two renewals may fail.
fn period(ttl: Duration) -> Duration {
    ttl / 3
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("key", &self.key).finish_non_exhaustive()
    }
}
