//! How long a holder may believe in its lock: validity, renewal, loss; on a clock that is paused.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_lock::backend::{Memory, Text};
use dist_lock::holds::{End, Renewal, State};
use dist_lock::lease::lease;
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Backend, Locker};
use support::flaky::{Fate, Flaky};
use support::takes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const TTL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const KEY: &str = "k";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A process with one lock, or none yet.
struct Process {
    store: Flaky,
    locker: Arc<Locker<Flaky>>,
    /// Whoever holds the handle of its lock.
    holder: Arc<()>,
}

impl Process {
    fn new() -> Self {
        Process::on(&Arc::default())
    }

    fn on(memory: &Arc<Memory>) -> Self {
        let store = Flaky::on(memory);
        let locker = Arc::new(Locker::new(store.clone(), PATIENCE));
        Process { store, locker, holder: Arc::new(()) }
    }

    fn renewal(&self, max_hold: Option<Duration>) -> Option<Renewal> {
        Some(Renewal { max_hold, holder: Arc::downgrade(&self.holder) })
    }

    async fn take(&self, ttl: Duration, renewal: Option<Renewal>) -> Text {
        let schedule = Schedule::new(milliseconds(50), None, None);
        let (key, owner) = (KEY.into(), "".into());
        let request = Acquire { renewal, ..Acquire::new(key, owner, ttl, schedule) };
        self.locker.acquire(request).await.unwrap().expect("it waits for ever").id
    }

    /// Waits for the lock in the background.
    fn wait(&self, ttl: Duration) -> JoinHandle<Text> {
        let (store, locker, holder) =
            (self.store.clone(), self.locker.clone(), self.holder.clone());
        tokio::spawn(async move { Process { store, locker, holder }.take(ttl, None).await })
    }

    async fn extend(&self, id: &Text, ttl: Duration) -> dist_lock::Result<bool> {
        self.locker.extend(&KEY.into(), id, ttl.as_millis() as f64).await
    }

    async fn release(&self, id: &Text) -> dist_lock::Result<bool> {
        self.locker.release(&KEY.into(), id).await
    }

    fn state(&self, id: &Text) -> State {
        self.locker.holds().state(id)
    }

    fn believes(&self, id: &Text) -> bool {
        matches!(self.state(id), State::Held | State::Suspect)
    }

    fn remaining(&self, id: &Text) -> Duration {
        self.locker.holds().remaining(id)
    }

    /// What is told of the end of a lock, and when.
    fn watch(&self, id: &Text) -> Arc<Mutex<Vec<(End, Instant)>>> {
        let told = Arc::<Mutex<Vec<_>>>::default();
        let tell = told.clone();
        let on_end = move |end| tell.lock().unwrap().push((end, Instant::now()));
        self.locker.watch(id, Box::new(on_end));
        told
    }

    /// Whether the store says that it holds the lock.
    async fn has(&self, id: &Text) -> bool {
        let observer = self.store.memory().clone().client();
        let holder = observer.read(&KEY.into()).await.unwrap();
        holder.is_some_and(|holder| *holder.id == **id)
    }
}

/// The clock reads the time the machine slept, which is never exact.
fn about(left: Duration, right: Duration) -> bool {
    left.abs_diff(right) <= milliseconds(3)
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_before_the_question_was_sent() {
    let process = Process::new();
    process.store.set([Fate::Late(seconds(4))]);

    let id = process.take(TTL, None).await;

    assert!(about(process.remaining(&id), lease(TTL) - seconds(4)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_lease_is_given_back() {
    let process = Process::new();
    process.store.set([Fate::Late(seconds(3)), Fate::Answered]);

    let started = Instant::now();
    let id = process.take(seconds(2), None).await;

    assert!(process.has(&id).await);
    assert!(started.elapsed() >= seconds(3));
    assert!(process.remaining(&id) > seconds(1), "the second answer is the one it got");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_given_back_leaves_nothing_in_the_store() {
    let process = Process::new();
    process.store.set([Fate::Late(milliseconds(1999))]);
    let schedule = Schedule::new(milliseconds(50), Some(0), None);
    let (key, owner) = (KEY.into(), "".into());
    let request = Acquire::new(key, owner, seconds(2), schedule);

    assert_eq!(process.locker.acquire(request).await, Ok(None));
    sleep(milliseconds(1)).await;

    assert_eq!(process.store.count("abandon"), 1);
    assert!(takes(&process.store, KEY, "other", TTL).await);
}

#[tokio::test(start_paused = true)]
async fn a_handle_says_held_only_until_the_lease_is_over_and_that_is_before_the_store_says_so() {
    let process = Process::new();
    let id = process.take(TTL, None).await;

    sleep(lease(TTL) - milliseconds(3)).await;
    assert_eq!(process.state(&id), State::Held);
    sleep(milliseconds(4)).await;

    assert_eq!(process.state(&id), State::Lost);
    assert_eq!(process.remaining(&id), Duration::ZERO);
    assert!(process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_renewed_at_each_third_of_its_ttl_and_no_more_often() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;

    sleep(seconds(95)).await;

    assert_eq!(process.store.count("extend"), 9);
    assert_eq!(process.state(&id), State::Held);
    assert!(process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_not_renewed_costs_no_step() {
    let process = Process::new();
    process.take(TTL, None).await;

    sleep(seconds(95)).await;

    assert_eq!(process.store.steps().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_renewals_fail_a_lock_is_suspect_and_it_is_held_again_when_one_succeeds() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    process.store.set_always(Fate::NotSent);

    sleep(seconds(11)).await;
    assert_eq!(process.state(&id), State::Suspect);
    process.store.set_always(Fate::Answered);
    sleep(seconds(2)).await;

    assert_eq!(process.state(&id), State::Held);
    assert!(process.remaining(&id) > seconds(27));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_again_less_and_less_often() {
    let process = Process::new();
    process.take(TTL, process.renewal(None)).await;
    process.store.set_always(Fate::NotSent);

    sleep(seconds(29)).await;

    let tries = process.store.count("extend");
    assert!((15..=30).contains(&tries), "{tries} tries in 19 s");
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_until_the_lease_is_over_end_it_then_and_not_later() {
    let process = Process::new();
    let taken = Instant::now();
    let id = process.take(TTL, process.renewal(None)).await;
    let told = process.watch(&id);
    process.store.set_always(Fate::NotSent);

    sleep(TTL).await;

    let told = told.lock().unwrap().clone();
    let [(End::Over, at)] = told[..] else { panic!("{told:?}") };
    assert!(about(at - taken, lease(TTL)));
    assert_eq!(process.state(&id), State::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost_counts_for_nothing_until_the_next_is_answered() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    process.store.set_for("extend", [Fate::ReplyLost]);

    sleep(seconds(10) + milliseconds(20)).await;
    assert_eq!(process.state(&id), State::Suspect);
    assert!(about(process.remaining(&id), lease(TTL) - seconds(10) - milliseconds(20)));
    sleep(milliseconds(100)).await;

    assert_eq!(process.state(&id), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_is_trouble_and_not_the_end() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    process.store.set_for("extend", [Fate::Refused]);

    sleep(seconds(10) + milliseconds(20)).await;
    assert_eq!(process.state(&id), State::Suspect);
    sleep(seconds(1)).await;

    assert_eq!(process.state(&id), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hears_not_ours_ends_the_lock_at_once() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    let told = process.watch(&id);
    assert!(process.store.memory().release_as_version_2(&KEY.into(), &id));

    sleep(seconds(10) + milliseconds(5)).await;

    assert_eq!(told.lock().unwrap().iter().map(|(end, _)| *end).collect::<Vec<_>>(), [End::Taken]);
    assert_eq!(process.state(&id), State::Lost);
}

#[tokio::test(start_paused = true)]
async fn renewal_never_takes_a_lost_lock_again() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    process.store.memory().clear();

    sleep(seconds(60)).await;

    assert_eq!(process.store.count("extend"), 1);
    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn the_longest_hold_ends_renewal_and_with_it_the_lock() {
    let process = Process::new();
    let taken = Instant::now();
    let id = process.take(seconds(9), process.renewal(Some(seconds(20)))).await;
    let told = process.watch(&id);

    sleep(seconds(60)).await;

    let told = told.lock().unwrap().clone();
    let [(End::Over, at)] = told[..] else { panic!("{told:?}") };
    assert!((seconds(19)..=seconds(20)).contains(&(at - taken)), "{:?}", at - taken);
    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_handle_is_gone_is_renewed_no_more() {
    let mut process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    sleep(seconds(25)).await;
    let renewals = process.store.count("extend");

    process.holder = Arc::new(());
    sleep(seconds(26)).await;

    assert_eq!(process.store.count("extend"), renewals);
    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_forgotten_is_renewed_no_more() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;

    process.locker.holds().forget(&id);
    sleep(TTL).await;

    assert_eq!(process.store.count("extend"), 0);
    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_that_fails_is_not_tried_again_for_a_forgotten_lock() {
    let process = Process::new();
    let id = process.take(seconds(9), process.renewal(None)).await;
    process.store.set_for("extend", [Fate::LostLate(seconds(1))]);
    sleep(milliseconds(3500)).await;

    process.locker.holds().forget(&id);
    sleep(seconds(9)).await;

    assert_eq!(process.store.count("extend"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_that_fails_is_not_tried_again_while_the_lock_is_released() {
    let process = Process::new();
    let id = process.take(seconds(9), process.renewal(None)).await;
    process.store.set_for("extend", [Fate::LostLate(seconds(1))]);
    process.store.set_for("release", [Fate::NotSent; 100]);
    sleep(milliseconds(3500)).await;

    process.release(&id).await.unwrap_err();

    assert_eq!(process.store.count("extend"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_released_lock_is_renewed_no_more() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;

    assert_eq!(process.release(&id).await, Ok(true));
    sleep(TTL).await;

    assert_eq!(process.store.count("extend"), 0);
    assert!(!process.believes(&id));
}

#[tokio::test(start_paused = true)]
async fn a_locker_that_is_dropped_renews_no_more() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    sleep(seconds(15)).await;
    let Process { store, locker, holder: _holder } = process;

    drop(locker);
    sleep(TTL).await;

    assert_eq!(store.count("extend"), 1);
    assert!(!store.steps().iter().any(|step| step == &format!("release {id}")));
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_told_of_a_release_once_and_of_nothing_after() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    let (told, told_too) = (process.watch(&id), process.watch(&id));

    process.release(&id).await.unwrap();
    process.release(&id).await.unwrap();
    sleep(2 * TTL).await;

    for told in [told, told_too] {
        let ends: Vec<End> = told.lock().unwrap().iter().map(|(end, _)| *end).collect();
        assert_eq!(ends, [End::Released]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_told_at_the_end_of_the_lease_without_any_network() {
    let process = Process::new();
    let taken = Instant::now();
    let id = process.take(TTL, None).await;
    process.store.set_always(Fate::NeverSent);

    let told = process.watch(&id);
    sleep(TTL).await;

    let told = told.lock().unwrap().clone();
    let [(End::Over, at)] = told[..] else { panic!("{told:?}") };
    assert!(about(at - taken, lease(TTL)));
}

#[tokio::test(start_paused = true)]
async fn a_watch_on_a_lock_that_is_over_is_told_at_once() {
    let process = Process::new();
    let id = process.take(seconds(1), None).await;
    sleep(seconds(1)).await;

    let told = process.watch(&id);

    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_extension_sets_the_lease_anew_from_when_it_was_sent() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    sleep(seconds(20)).await;
    process.store.set([Fate::Late(seconds(1))]);

    assert_eq!(process.extend(&id, seconds(60)).await, Ok(true));

    assert!(about(process.remaining(&id), lease(seconds(60)) - seconds(1)));
    assert_eq!(process.locker.holds().ttl(&id), Some(seconds(60)));
}

#[tokio::test(start_paused = true)]
async fn renewal_goes_on_with_the_ttl_of_an_extension() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;

    process.extend(&id, seconds(6)).await.unwrap();
    sleep(seconds(9)).await;

    assert_eq!(process.store.count("extend"), 1 + 4);
    assert!(process.remaining(&id) < seconds(6));
    assert!(process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn an_extension_to_nothing_ends_the_lock() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(None)).await;
    let told = process.watch(&id);

    assert_eq!(process.locker.extend(&KEY.into(), &id, 0.0).await, Ok(true));

    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(!process.believes(&id));
    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn an_extension_of_another_s_lock_is_refused_and_ends_what_was_believed() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    assert!(process.store.memory().release_as_version_2(&KEY.into(), &id));

    assert_eq!(process.extend(&id, TTL).await, Ok(false));

    assert_eq!(process.state(&id), State::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_shortened_lock_is_not_believed_in_for_its_old_time_while_the_answer_is_late() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    process.store.set([Fate::Late(seconds(5))]);

    let extension = process.extend(&id, milliseconds(100));
    let look = async {
        sleep(milliseconds(200)).await;
        (process.believes(&id), process.has(&id).await)
    };
    let (_, (believes, has)) = tokio::join!(extension, look);

    assert_eq!((believes, has), (false, false));
}

#[tokio::test(start_paused = true)]
async fn a_shortened_lock_is_not_believed_in_for_its_old_time_when_the_answer_was_lost() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    process.store.set([Fate::ReplyLost]);
    process.store.set_always(Fate::NotSent);

    process.extend(&id, milliseconds(100)).await.unwrap_err();

    assert_eq!((process.believes(&id), process.has(&id).await), (false, false));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_overtaken_does_not_count() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    process.store.set([Fate::Late(milliseconds(20)), Fate::Answered]);

    let first = process.extend(&id, seconds(60));
    let second = async {
        sleep(milliseconds(5)).await;
        process.extend(&id, seconds(2)).await
    };
    let (first, second) = tokio::join!(first, second);

    assert_eq!((first, second), (Ok(true), Ok(true)));
    assert!(process.remaining(&id) <= seconds(2), "the store has it for two seconds");
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_was_never_sent_brings_no_belief_back() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    process.store.set([Fate::NotSent, Fate::Answered]);
    process.store.set_always(Fate::NotSent);

    let longer = process.extend(&id, seconds(60));
    let shorter = async {
        sleep(milliseconds(1)).await;
        process.extend(&id, milliseconds(100)).await.unwrap();
        sleep(seconds(1)).await;
        (process.believes(&id), process.has(&id).await)
    };
    let (_, (believes, has)) = tokio::join!(longer, shorter);

    assert_eq!((believes, has), (false, false));
}

#[tokio::test(start_paused = true)]
async fn a_longest_hold_that_shortens_the_lock_is_believed_before_it_is_answered() {
    let process = Process::new();
    let id = process.take(TTL, process.renewal(Some(seconds(11)))).await;
    process.store.set_for("extend", [Fate::LostLate(seconds(2))]);

    // The renewal at 10 s leaves the lock one more second.
    sleep(seconds(11) + milliseconds(10)).await;

    assert_eq!((process.believes(&id), process.has(&id).await), (false, false));
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_was_told_is_not_taken_back_by_a_late_renewal() {
    let process = Process::new();
    let id = process.take(seconds(9), process.renewal(None)).await;
    let told = process.watch(&id);
    process.store.set_for("extend", [Fate::Late(seconds(6))]);

    // Sent at 3 s, answered at 9 s, when the lease of 9 s is over.
    sleep(seconds(9) + milliseconds(10)).await;

    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(!process.believes(&id));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_under_way_does_not_undo_the_caller_s_extension() {
    let memory = Arc::default();
    let (first, second) = (Process::on(&memory), Process::on(&memory));
    let held = first.take(TTL, None).await;
    let waiter = second.wait(TTL);
    sleep(seconds(1)).await;
    first.release(&held).await.unwrap();
    let id = waiter.await.unwrap();
    // Longer than the pause before the confirmation.
    second.store.set_for("extend", [Fate::Late(milliseconds(50))]);

    assert_eq!(second.extend(&id, seconds(300)).await, Ok(true));
    sleep(seconds(60)).await;

    assert!(second.has(&id).await, "it was extended to 300 s");
    assert_eq!(second.state(&id), State::Held);
}

#[tokio::test(start_paused = true)]
async fn a_lock_granted_by_a_message_is_valid_for_its_claim_and_soon_for_its_ttl() {
    let memory = Arc::default();
    let (first, second) = (Process::on(&memory), Process::on(&memory));
    let held = first.take(TTL, None).await;
    let waiter = second.wait(TTL);
    sleep(seconds(1)).await;
    first.release(&held).await.unwrap();

    let id = waiter.await.unwrap();
    let claim = second.remaining(&id);
    sleep(milliseconds(20)).await;

    assert!(claim <= seconds(2), "{claim:?}");
    assert_eq!(second.store.count("extend"), 1);
    assert!(second.remaining(&id) > seconds(29));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_had_no_answer_leaves_no_belief_in_the_lock() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    process.store.set([Fate::ReplyLost]);
    process.store.set_always(Fate::NotSent);

    process.release(&id).await.unwrap_err();

    assert_eq!((process.believes(&id), process.has(&id).await), (false, false));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_failed_is_done_in_the_background_when_the_store_is_back() {
    let process = Process::new();
    let id = process.take(seconds(120), None).await;
    process.store.set_always(Fate::NotSent);
    process.release(&id).await.unwrap_err();

    process.store.set_always(Fate::Answered);
    sleep(seconds(5)).await;

    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn an_extension_to_nothing_that_failed_is_done_in_the_background_when_the_store_is_back() {
    let process = Process::new();
    let id = process.take(seconds(120), None).await;
    process.store.set_always(Fate::NotSent);
    process.locker.extend(&KEY.into(), &id, 0.0).await.unwrap_err();

    process.store.set_always(Fate::Answered);
    sleep(seconds(5)).await;

    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_said_to_be_lost_is_given_back_when_a_late_renewal_kept_it() {
    let process = Process::new();
    let id = process.take(seconds(9), process.renewal(None)).await;
    process.watch(&id);
    process.store.set_for("extend", [Fate::Late(seconds(6))]);
    sleep(seconds(9) + milliseconds(10)).await;
    assert!(!process.believes(&id));

    sleep(milliseconds(100)).await;

    // It was set to 9 s at the third second.
    assert!(!process.has(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_late_extension_is_not_said_to_be_done_for_a_lock_that_was_said_to_be_lost() {
    let process = Process::new();
    let id = process.take(TTL, None).await;
    let told = process.watch(&id);
    sleep(lease(TTL) + milliseconds(5)).await;
    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(process.has(&id).await, "the store counts a little longer");

    let extended = process.extend(&id, TTL).await.unwrap();

    assert_eq!(extended, process.believes(&id));
    sleep(seconds(1)).await;
    assert_eq!(extended, process.has(&id).await);
}
