//! Many locks in one process: all of them are kept, other callers hardly notice, and where that cannot
//! be, their holders are told in time. On a clock that is paused.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dist_lock::backend::Text;
use dist_lock::clock::Moment;
use dist_lock::hold::Hold;
use dist_lock::holds::{End, Holds, Renewal, State};
use dist_lock::lease::{Grant, lease};
use dist_lock::schedule::Schedule;
use dist_lock::{Acquire, Locker};
use support::flaky::Flaky;
use tokio::time::{Instant, advance, sleep};

const TTL: Duration = Duration::from_secs(5);
const MANY: usize = 5000;

/// A process that holds many locks, all granted at the same moment.
struct Crowd {
    store: Flaky,
    locker: Locker<Flaky>,
    granted: Instant,
    ids: Vec<Text>,
    holder: Arc<()>,
}

impl Crowd {
    async fn new() -> Self {
        let store = Flaky::default();
        let locker = Locker::new(store.clone(), Duration::from_secs(10));
        let holder = Arc::new(());
        let mut crowd = Crowd { store, locker, granted: Instant::now(), ids: Vec::new(), holder };
        for number in 0..MANY {
            crowd.ids.push(crowd.take(number).await);
        }
        assert_eq!(crowd.granted, Instant::now());
        crowd
    }

    async fn take(&self, number: usize) -> Text {
        let schedule = Schedule::new(Duration::from_millis(50), Some(0), None);
        let renewal = Some(Renewal { max_hold: None, holder: Arc::downgrade(&self.holder) });
        let request = Acquire {
            renewal,
            ..Acquire::new(format!("k{number}").into(), "".into(), TTL, schedule)
        };
        self.locker.acquire(request).await.unwrap().expect("nobody else wants it").id
    }

    fn count(&self, state: State) -> usize {
        self.ids.iter().filter(|id| self.locker.holds().state(id) == state).count()
    }
}

#[tokio::test(start_paused = true)]
async fn many_locks_that_were_granted_together_are_kept_and_nobody_waits_long_for_that() {
    let crowd = Crowd::new().await;
    // Three times as fast as it must be.
    let each = TTL / 3 / MANY as u32 / 3;
    crowd.store.take_time(each);

    sleep(3 * TTL).await;

    assert_eq!(crowd.count(State::Held), MANY);
    let least = crowd.ids.iter().map(|id| crowd.locker.holds().remaining(id)).min();
    assert!(least > Some(TTL / 2), "only {least:?} was left");
    let waited = crowd.store.longest_wait();
    assert!(waited < 300 * each, "a step waited for {} others", waited.div_duration_f64(each));
}

#[tokio::test(start_paused = true)]
async fn many_locks_take_no_more_renewals_than_a_third_of_their_ttl_asks_for() {
    let crowd = Crowd::new().await;

    sleep(4 * TTL).await;

    // The first renewal of each comes up to half of a third early.
    let renewals = crowd.store.count("extend") as f64 / MANY as f64;
    assert!((11.0..=12.6).contains(&renewals), "{renewals} for each");
}

#[tokio::test(start_paused = true)]
async fn when_many_renewals_have_no_answer_all_holders_are_told_as_their_leases_end() {
    let crowd = Crowd::new().await;
    let told = Arc::<Mutex<Vec<_>>>::default();
    for id in &crowd.ids {
        let told = told.clone();
        let on_end = move |end| told.lock().unwrap().push((end, Instant::now()));
        crowd.locker.watch(id, Box::new(on_end));
    }
    crowd.store.die();

    sleep(TTL).await;

    assert_eq!(crowd.count(State::Lost), MANY);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), MANY);
    for (end, at) in &*told {
        assert_eq!(*end, End::Over);
        let late = (*at - crowd.granted).abs_diff(lease(TTL));
        assert!(late <= Duration::from_millis(5), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_locks_that_are_due_those_whose_leases_end_first_come_first() {
    let holds = Holds::default();
    let holder = Arc::new(());
    let add = |name: String, seconds| {
        let ttl = Duration::from_secs(seconds);
        let grant = Grant { token: None, since: Moment::now(), ttl };
        let renewal = Some(Renewal { max_hold: None, holder: Arc::downgrade(&holder) });
        let key = name.as_str().into();
        holds.add(&name.into(), Hold::new(key, &grant, Instant::now(), ttl, 0, renewal));
    };
    (0..90).for_each(|number| add(format!("long {number}"), 60));
    advance(Duration::from_secs(17)).await;
    (0..5).for_each(|number| add(format!("short {number}"), 12));
    // The long ones are due since the 20th second, the short ones since the 21st.
    advance(Duration::from_secs(5)).await;

    let due = holds.take_due(10);

    let short = due.iter().filter(|due| due.id.starts_with("short")).count();
    assert_eq!((due.len(), short), (10, 5));
    assert!(due[..5].iter().all(|due| due.id.starts_with("short")));
    assert_eq!(holds.take_due(1000).len(), 85);
}
